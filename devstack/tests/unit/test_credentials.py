import pytest

from devstack.credentials import with_gateway_secret, with_service_clients
from task_service.config import Settings as TaskSettings
from user_service.config import Settings as UserSettings


@pytest.mark.parametrize("env", [{}, {"TASK_SERVICE_CLIENT_SECRET": "bees"}, {"TASK_SERVICE_CLIENT_SECRET": ""}])
def test_user_service_knows_the_secret_that_task_service_has(env: dict[str, str]) -> None:
    env = with_service_clients(env)

    assert UserSettings.read(env).service_clients == {"task-service": TaskSettings.read(env).client_secret}


def test_a_list_that_is_given_stays() -> None:
    env = {"TASK_SERVICE_CLIENT_SECRET": "bees", "SERVICE_CLIENTS": "task-service:bees,mail-service:post"}

    assert with_service_clients(env) == env


def test_gateway_and_services_of_this_machine_share_a_secret_that_nobody_else_knows() -> None:
    first, second = (with_gateway_secret({})["GATEWAY_SECRET"] for _ in range(2))

    assert first != second
    assert len(first) >= 32
    assert with_gateway_secret({"GATEWAY_SECRET": "bees"}) == {"GATEWAY_SECRET": "bees"}
