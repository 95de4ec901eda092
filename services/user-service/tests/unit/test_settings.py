from datetime import timedelta

import pytest

from service_chassis.breaker import BreakerRules
from service_chassis.installation import data_folder
from service_chassis.settings import SettingsError
from service_chassis.tokens.settings import DEMO_SECRET
from user_service.config import Settings

SERVERS = {"DATABASE_URL": "postgresql://user_service:secret@database/steward", "REDIS_URL": "redis://cache:6379/0"}
"""What every process needs; the broker is the worker's business."""
PRODUCTION = {
    **SERVERS,
    "STEWARD_PROFILE": "production",
    "KEY_ENCRYPTION_SECRET": "a long secret of this installation only",
    "NOTIFICATION_SECRET": "a long secret that delivery-service shares",
    "GATEWAY_SECRET": "a long secret that the gateway shares",
    "SERVICE_CLIENTS": "task-service:a long secret that task-service shares",
}


SHARED = "a long secret that every verifier shares"


def problems(env: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.read(env)
    return raised.value.problems


def test_a_demo_needs_no_settings_at_all() -> None:
    settings = Settings.read({})

    assert settings.demo
    assert settings.runtime.database_url == f"sqlite:///{data_folder('.data')}/user-service.db"
    assert settings.runtime.broker_url == f"sqlite:///{data_folder('.data')}/broker.db"
    assert settings.password_minimum == 6


def test_tokens_live_as_long_and_the_database_takes_as_many_connections_as_is_usual() -> None:
    """S4-04, S4-23."""
    usual = Settings.read({})
    given = Settings.read({"JWT_ACCESS_TOKEN_LIFETIME": "5", "JWT_REFRESH_TOKEN_LIFETIME": "10"})

    assert (usual.access_token_lifetime, usual.refresh_token_lifetime) == (timedelta(hours=1), timedelta(hours=24))
    assert (given.access_token_lifetime, given.refresh_token_lifetime) == (timedelta(minutes=5), timedelta(minutes=10))
    assert usual.runtime.database_pool == 50


def test_a_web_has_four_processes_in_production() -> None:
    """S4-55."""
    assert Settings.read({}).runtime.web_processes == 2
    assert Settings.read(PRODUCTION).runtime.web_processes == 4
    assert Settings.read(PRODUCTION | {"WEB_PROCESSES": "3"}).runtime.web_processes == 3


def test_what_fails_five_times_in_a_row_is_left_alone_for_a_minute_unless_a_setting_says_otherwise() -> None:
    """S4-24, C-40."""
    assert Settings.read({}).runtime.breaker == BreakerRules(failures=5, open_for=timedelta(seconds=60))
    changed = {"BREAKER_FAILURES": "3", "BREAKER_SECONDS": "0.5"}
    assert Settings.read(changed).runtime.breaker == BreakerRules(failures=3, open_for=timedelta(seconds=0.5))


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
        ("NOTIFICATION_SECRET", "", "is required in production"),
        ("NOTIFICATION_SECRET", "demo-notification-secret", "is the demo value"),
        ("SERVICE_CLIENTS", "", "is required in production"),
        ("SERVICE_CLIENTS", "task-service:demo-task-service-client-secret", "is the demo value"),
        ("SERVICE_CLIENTS", "task-service:short", "at least 32 characters"),
        ("REDIS_URL", "", "preferences that another one changed"),
        ("PASSWORD_MINIMUM", "7", "passwords need at least 8 characters"),
        ("ARGON2_MEMORY_KIB", "1024", "cheap to guess"),
        ("ARGON2_PASSES", "1", "cheap to guess"),
        ("DATABASE_URL", "", "shared database"),
        ("DATABASE_URL", "sqlite:///users.db", "shared database"),
        ("BROKER_URL", "sqlite:///broker.db", "need a broker"),
        ("BROKER_URL", "amqp://guest:guest@broker/", "a password that everybody knows"),
    ],
)
def test_production_refuses_what_is_unsafe(name: str, value: str, problem: str) -> None:
    (told,) = problems(PRODUCTION | {name: value})

    assert problem in told


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("", "JWT_SECRET is required in production."),
        ("x" * 31, "JWT_SECRET must have at least 32 characters in production."),
        (DEMO_SECRET, "JWT_SECRET is the demo value, which everybody knows; production needs its own."),
    ],
)
def test_production_signs_with_no_secret_that_can_be_guessed(secret: str, problem: str) -> None:
    assert problems(PRODUCTION | {"JWT_ALGORITHM": "HS256", "JWT_SECRET": secret}) == [problem]


def test_a_secret_to_sign_with_is_long_in_a_demo_as_well() -> None:
    assert problems({"JWT_ALGORITHM": "HS256", "JWT_SECRET": "x" * 31}) == [
        "JWT_SECRET needs at least 32 bytes with HS256."
    ]


def test_tokens_are_signed_with_keys_unless_a_secret_is_asked_for() -> None:
    keys = Settings.read(PRODUCTION | {"JWT_SECRET": "x"}).runtime
    secret = Settings.read(PRODUCTION | {"JWT_ALGORITHM": "HS256", "JWT_SECRET": SHARED}).runtime

    assert (keys.token_algorithm, keys.token_secret) == ("RS256", None)
    assert (secret.token_algorithm, secret.token_secret) == ("HS256", SHARED)
    assert problems({"JWT_ALGORITHM": "none"}) == ["JWT_ALGORITHM must be one of RS256, HS256, not 'none'."]


def test_a_single_process_may_remember_preferences_by_itself() -> None:
    settings = Settings.read(PRODUCTION | {"REDIS_URL": "", "WEB_PROCESSES": "1"})

    assert settings.redis_url is None


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

    missing = {"GATEWAY_SECRET", "KEY_ENCRYPTION_SECRET", "NOTIFICATION_SECRET", "SERVICE_CLIENTS"}
    for name in wrong.keys() - {"STEWARD_PROFILE", *SERVERS} | missing:
        assert [problem for problem in told if problem.startswith(name)], f"Nothing is said of {name}."
    assert len(told) == 10


def test_a_profile_nobody_knows_is_treated_as_production() -> None:
    told = problems({**SERVERS, "STEWARD_PROFILE": "staging"})

    assert told == [
        "STEWARD_PROFILE must be demo or production, not 'staging'.",
        "GATEWAY_SECRET is required in production.",
        "KEY_ENCRYPTION_SECRET is required in production.",
        "NOTIFICATION_SECRET is required in production.",
        "SERVICE_CLIENTS is required in production.",
    ]


def test_what_is_set_in_vain_is_known_by_name() -> None:
    """S1-09."""
    assert Settings.read({"PASSWORD_MINIMAL": "9", "USER_SERVICE_URL": "http://users", "PATH": "/bin"}).unread == (
        "PASSWORD_MINIMAL",
    )
    assert Settings.read({}).unread == ()
