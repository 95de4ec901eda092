import pytest

from service_chassis.settings import SettingsError
from task_service.config import Settings

PRODUCTION = {
    "STEWARD_PROFILE": "production",
    "DATABASE_URL": "postgresql://task_service:secret@database/steward",
    "TASK_SERVICE_SECRET": "a long secret of this installation only",
    "TASK_SERVICE_CLIENT_SECRET": "a long secret that user-service shares",
}


def test_production_needs_a_database_and_two_secrets_and_nothing_else() -> None:
    assert Settings.read(PRODUCTION).client_secret == PRODUCTION["TASK_SERVICE_CLIENT_SECRET"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is required in production"),
        ("demo-task-service-client-secret", "is the demo value"),
        ("x" * 31, "at least 32 characters"),
    ],
)
def test_production_calls_user_service_with_no_secret_that_others_know(value: str, problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.read(PRODUCTION | {"TASK_SERVICE_CLIENT_SECRET": value})

    (told,) = raised.value.problems
    assert told.startswith("TASK_SERVICE_CLIENT_SECRET")
    assert problem in told


def test_no_consequence_waits_for_approval_in_the_demo() -> None:
    """S3-15, C-36."""
    rules = Settings.read({}).rules

    assert (rules.sweep_cap, rules.manager_cap) == (None, None)


def test_many_consequences_at_once_wait_for_approval_in_production() -> None:
    """S3-15, C-36."""
    rules = Settings.read(PRODUCTION).rules

    assert (rules.sweep_cap, rules.manager_cap) == (100, 5)


def test_what_is_set_in_vain_is_known_by_name() -> None:
    """S1-09."""
    assert Settings.read({"MISSED_TASK_LIMITS": "3", "TASK_SERVICE_URL": "http://tasks", "PATH": "/bin"}).unread == (
        "MISSED_TASK_LIMITS",
    )
    assert Settings.read({}).unread == ()
