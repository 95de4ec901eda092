import json
import subprocess
import sys
from pathlib import Path

from tests.running import django_database
from tests.running.people import person
from tests.running.steward import USER, Steward

OLD_PASSWORD = "what Django knew me by"


def test_the_users_of_a_django_database_sign_in_with_their_old_passwords(system: Steward, tmp_path: Path) -> None:
    anna, bert = (person(name, days_away=0).email for name in ("anna", "bert"))
    program = [sys.executable, django_database.__file__, tmp_path / "django.db", OLD_PASSWORD, anna, bert]
    exported = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    file = tmp_path / "users.csv"
    file.write_text(exported)

    imported = system.run_command(USER, "import-users", file)

    assert "pbkdf2_sha256$" in exported
    assert json.loads(imported.stdout)["imported"] == 2
    assert {system.sign_in(email, OLD_PASSWORD).get("/api/v1/users").status for email in (anna, bert)} == {200}
    wrong = system.door.post("/api/v1/auth/login", {"email": anna, "password": "not this"})
    assert (wrong.status, wrong.error) == (401, "invalid_credentials")
    kept = system.rows(USER, "SELECT password_hash FROM users WHERE email IN (:anna, :bert)", anna=anna, bert=bert)
    assert {row.password_hash.split("$")[1] for row in kept} == {"argon2id"}
