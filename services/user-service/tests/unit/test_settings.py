import pytest

from service_chassis.settings import SettingsError
from user_service.config import Settings

SERVERS = {"DATABASE_URL": "postgresql://user_service:secret@database/steward"}
"""What every process needs; the broker is the worker's business."""
PRODUCTION = {
    **SERVERS,
    "STEWARD_PROFILE": "production",
    "KEY_ENCRYPTION_SECRET": "a long secret of this installation only",
}


def problems(env: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.read(env)
    return raised.value.problems


def test_a_demo_needs_no_settings_at_all() -> None:
    settings = Settings.read({})

    assert settings.demo
    assert settings.database_url == "sqlite:///.data/user-service.db"
    assert settings.broker_url == "sqlite:///.data/broker.db"
    assert settings.password_minimum == 6


def test_production_needs_servers_and_a_secret_and_nothing_else() -> None:
    settings = Settings.read(PRODUCTION)

    assert not settings.demo
    assert settings.password_minimum == 8


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("KEY_ENCRYPTION_SECRET", "", "is required in production"),
        ("KEY_ENCRYPTION_SECRET", "demo-key-encryption-secret", "is the demo value"),
        ("KEY_ENCRYPTION_SECRET", "x" * 31, "at least 32 characters"),
        ("PASSWORD_MINIMUM", "7", "passwords need at least 8 characters"),
        ("ARGON2_MEMORY_KIB", "1024", "cheap to guess"),
        ("ARGON2_PASSES", "1", "cheap to guess"),
        ("DATABASE_URL", "", "shared database"),
        ("DATABASE_URL", "sqlite:///users.db", "shared database"),
        ("BROKER_URL", "sqlite:///broker.db", "needs a broker"),
        ("BROKER_URL", "amqp://guest:guest@broker/", "not everybody knows"),
    ],
)
def test_production_refuses_what_is_unsafe(name: str, value: str, problem: str) -> None:
    (told,) = problems(PRODUCTION | {name: value})

    assert problem in told


def test_a_demo_may_be_unsafe() -> None:
    settings = Settings.read({"PASSWORD_MINIMUM": "1", "ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1"})

    assert (settings.password_minimum, settings.argon2_memory_kib, settings.argon2_passes) == (1, 8, 1)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    wrong = {
        **SERVERS,
        "STEWARD_PROFILE": "production",
        "PASSWORD_MINIMUM": "4",
        "ARGON2_PASSES": "none",
        "LOG_LEVEL": "LOUD",
        "JWT_ACCESS_TOKEN_LIFETIME": "0",
        "DATABASE_POOL": "1",
        "USER_WATERMARK_SECONDS": "often",
    }

    told = problems(wrong)

    for name in wrong.keys() - {"STEWARD_PROFILE", *SERVERS} | {"KEY_ENCRYPTION_SECRET"}:
        assert [problem for problem in told if problem.startswith(name)], f"Nothing is said of {name}."
    assert len(told) == 7


def test_a_profile_nobody_knows_is_treated_as_production() -> None:
    told = problems({**SERVERS, "STEWARD_PROFILE": "staging"})

    assert told == [
        "STEWARD_PROFILE must be demo or production, not 'staging'.",
        "KEY_ENCRYPTION_SECRET is required in production.",
    ]
