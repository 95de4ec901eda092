from datetime import timedelta

import pytest

from gateway.config import Settings
from gateway.routes import CLEANUP, DELIVERY, USER
from service_chassis.breaker import BreakerRules
from service_chassis.settings import SettingsError
from service_chassis.tokens.settings import DEMO_SECRET

PRODUCTION = {"STEWARD_PROFILE": "production", "GATEWAY_SECRET": "a long secret that user-service shares"}


def test_without_any_setting_the_services_of_this_machine_are_meant() -> None:
    settings = Settings.read({})

    assert set(settings.services) == {USER, CLEANUP}
    assert (settings.port, settings.token_algorithm, settings.body_limit) == (8000, "RS256", 1_048_576)
    assert (settings.deadline, settings.breaker) == (timedelta(seconds=15), BreakerRules(5, timedelta(seconds=60)))


def test_a_service_is_there_when_it_has_an_address() -> None:
    settings = Settings.read({"DELIVERY_SERVICE_URL": "http://delivery:8004/", "TASK_SERVICE_URL": " "})

    assert settings.services[DELIVERY] == "http://delivery:8004"
    assert len(settings.services) == 3


def test_in_production_balancers_are_given_time_to_notice_the_end() -> None:
    assert Settings.read(PRODUCTION).drain_grace == timedelta(seconds=5)


def test_in_production_requests_are_limited_unless_a_setting_says_otherwise() -> None:
    assert Settings.read({}).rate_limit == 0
    assert Settings.read(PRODUCTION).rate_limit == 100
    assert Settings.read(PRODUCTION | {"GATEWAY_RATE_LIMIT": "7"}).rate_limit == 7


def test_in_production_nobody_sees_what_is_for_operators_unless_a_setting_says_who_they_are() -> None:
    assert [str(network) for network in Settings.read({}).operators] == ["0.0.0.0/0", "::/0"]
    assert Settings.read(PRODUCTION).operators == ()
    with pytest.raises(SettingsError, match=r"GATEWAY_OPERATORS is refused in production: .* would show strangers"):
        Settings.read(PRODUCTION | {"GATEWAY_OPERATORS": "0.0.0.0/0"})


def test_a_shared_secret_is_taken_where_tokens_are_signed_with_one() -> None:
    settings = Settings.read({"JWT_ALGORITHM": "HS256", "JWT_SECRET": "s" * 32})

    assert settings.token_secret == "s" * 32
    assert Settings.read({"JWT_SECRET": "short"}).token_secret is None


def test_production_takes_no_shared_secret_that_everybody_knows() -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET is the demo value"):
        Settings.read(PRODUCTION | {"JWT_ALGORITHM": "HS256", "JWT_SECRET": DEMO_SECRET})


def test_production_shows_services_no_secret_that_everybody_knows() -> None:
    with pytest.raises(SettingsError, match="GATEWAY_SECRET is required in production"):
        Settings.read({"STEWARD_PROFILE": "production"})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = {
        "USER_SERVICE_URL": "user-service:8001",
        "TASK_SERVICE_URL": "http://task/internal",
        "JWT_ALGORITHM": "HS256",
        "JWT_SECRET": "short",
        "GATEWAY_PORT": "70000",
    }

    with pytest.raises(SettingsError) as refused:
        Settings.read(wrong)

    assert len(refused.value.problems) == 4


def test_what_is_set_in_vain_is_known_by_name() -> None:
    """S1-09."""
    assert Settings.read({"GATEWAY_RATE_LIMITS": "9", "PATH": "/bin"}).unread == ("GATEWAY_RATE_LIMITS",)
    assert Settings.read({}).unread == ()
