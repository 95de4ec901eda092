"""The commands as an operator runs them: processes of their own, read by their exit codes and what they print."""

import json
import os
import signal
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
from user_service.model.user import User

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
    names = ("--email", "Olga@example.com", "--username", "Olga", "--name", "Olga")
    made = result(start("create-admin", *names, "--password", "correct horse"))

    assert (made["email"], made["username"]) == ("olga@example.com", "olga")
    answer = signed_in("olga", "correct horse").get(f"/api/v1/users/{made['id']}")
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


def test_keys_are_rotated_once_however_often_that_is_asked_for(service: Service, start: Start) -> None:
    first, second = result(start("rotate-keys")), result(start("rotate-keys"))

    assert first == second
    assert first["published_at"] < first["signs_from"]


def test_a_service_gets_in_with_the_secret_it_was_given(service: Service, start: Start, web: FlaskClient) -> None:
    credentials = result(start("create-client", "cleanup-service"))

    assert web.post("/api/v1/auth/token", json=credentials).status_code == 200


def test_the_token_of_an_account_can_be_read_from_a_shell(service: Service, start: Start, admin: FlaskClient) -> None:
    """S2-37."""
    code, output, _ = ended(start("show-account-token", "1"))

    assert code == 0
    history = admin.get("/api/v1/accounts/1/history").get_json()["data"]
    assert (history[0]["action"], history[0]["actor"]) == ("token_read", "show-account-token")
    assert admin.get("/api/v1/accounts/1").get_json()["data"]["app_secret_token"] == output.strip()
    code, output, errors = ended(start("show-account-token", "99"))
    assert (code, output, errors.strip()) == (1, "", "Error: There is no such account.")


def test_what_is_kept_about_a_user_is_exported_and_erased(
    service: Service, start: Start, new_user: Callable[..., User], admin: FlaskClient
) -> None:
    anna = new_user("anna")

    exported = result(start("export-user", str(anna.id)))
    purged = result(start("purge-user", str(anna.id), "--reason", "she asked for it", "--yes"))

    assert exported["user"]["email"] == anna.email
    assert purged == {"id": str(anna.id), "number": anna.number, "status": "purged"}
    history = admin.get(f"/api/v1/users/{anna.id}/history").get_json()["data"]
    assert ("user_purged", "purge-user", "she asked for it") in [
        (entry["action"], entry["actor"], entry["reason"]) for entry in history
    ]


def test_the_consumer_of_requests_has_its_old_name(service: Service, start: Start) -> None:
    """S4-25."""
    process = start("consume_rabbitmq", LOG_LEVEL="INFO")
    assert process.stderr is not None
    started = next(line for line in process.stderr if "worker_started" in line)

    process.send_signal(signal.SIGTERM)

    assert "user-service.events" in started
    assert ended(process)[0] == 0
