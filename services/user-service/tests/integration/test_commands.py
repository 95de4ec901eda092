"""The commands as an operator runs them: processes of their own, read by their exit codes and what they print."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.commands import UNUSABLE_FILE

pytestmark = only_sqlite

CONFIGURATION_ERROR = 78

Started = subprocess.Popen[str]
Start = Callable[..., Started]


@pytest.fixture
def start(env: dict[str, str], tmp_path: Path) -> Start:
    """Starts `python -m user_service` with some arguments; several may run side by side."""

    def start(*arguments: str | Path, **settings: str) -> Started:
        return subprocess.Popen(
            [sys.executable, "-m", "user_service", *map(str, arguments)],
            env={"PATH": os.environ["PATH"], **env, **settings},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(process: Started) -> tuple[int, str, str]:
    """Return the exit code and what was printed to standard output and standard error."""
    output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return process.returncode, output, errors


def result(process: Started) -> Any:
    """Return the JSON a successful command prints."""
    code, output, errors = ended(process)
    assert code == 0, errors
    return json.loads(output)


def test_an_import_says_what_became_of_the_rows(service: Service, start: Start, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("email,name\nanna@example.com,Anna\nadmin@example.com,Admin\nnobody,Nobody\n", encoding="utf-8")

    code, output, errors = ended(start("import-users", file))

    summary = json.loads(output)
    assert code == 0
    assert summary.pop("seconds") >= 0
    assert summary == {
        "read": 3,
        "imported": 1,
        "existing": 1,
        "rejected": 1,
        "rejects_file": str(tmp_path / "users.csv.rejects.csv"),
    }
    assert "3 read, 1 imported, 1 existing, 1 rejected" in errors
    assert "4,'nobody' is no e-mail address.," in (tmp_path / "users.csv.rejects.csv").read_text(encoding="utf-8")
    with service.units.read() as uow:
        assert uow.users.by_email("anna@example.com") is not None


def test_an_admin_is_made_and_can_sign_in(
    service: Service, start: Start, signed_in: Callable[..., FlaskClient]
) -> None:
    made = result(start("create-admin", "--email", "Olga@example.com", "--name", "Olga", "--password", "correct horse"))

    assert made["email"] == "olga@example.com"
    answer = signed_in("olga@example.com", "correct horse").get(f"/api/v1/users/{made['id']}")
    assert (answer.get_json()["data"]["role"], answer.get_json()["data"]["number"]) == ("admin", made["number"])


def test_the_help_needs_no_settings(start: Start) -> None:
    code, output, _ = ended(start("--help", STEWARD_PROFILE="nonsense"))

    assert code == 0
    for command in ("web", "worker", "migrate", "create-admin", "import-users", "dead-letters", "outbox"):
        assert command in output


def test_what_cannot_be_done_ends_with_a_word_and_a_code(service: Service, start: Start, tmp_path: Path) -> None:
    useless, users = tmp_path / "useless.csv", tmp_path / "users.csv"
    useless.write_text("name\nAnna\n", encoding="utf-8")
    users.write_text("email\nanna@example.com\n", encoding="utf-8")
    attempts = [
        (start("import-users", useless), UNUSABLE_FILE, "The file has no column email."),
        (start("import-users", users, "--rejects", users), 2, "would replace the file itself"),
        (start("import-users", users, STEWARD_PROFILE="production"), CONFIGURATION_ERROR, "KEY_ENCRYPTION_SECRET"),
        (start("create-admin", "--email", "admin@example.com", "--password", "correct horse"), 1, "in use already"),
    ]

    for process, expected, word in attempts:
        code, output, errors = ended(process)
        assert (code, output) == (expected, ""), errors
        assert word in errors
    assert users.read_text(encoding="utf-8") == "email\nanna@example.com\n"
    with service.units.read() as uow:
        assert uow.users.by_email("anna@example.com") is None
