"""Preferences and the cache in front of them: S4-15, S4-16, S4-21, S4-22."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import event

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.proxy import Proxy
from user_service.bootstrap import bootstrap
from user_service.model.user import User

PREFERENCES = "/api/v1/users/preferences"
ALL = {"email": True, "push": True}


def shown(client: FlaskClient) -> dict[str, bool]:
    preferences: dict[str, bool] = client.get(PREFERENCES).get_json()["data"]
    return preferences


def lookups(service: Service) -> dict[str, float]:
    registry = service.metrics.registry
    names = {"cache": "preferences"}
    return {
        outcome: registry.get_sample_value("cache_lookups_total", names | {"outcome": outcome}) or 0
        for outcome in ("hit", "miss")
    }


def test_who_has_said_nothing_wants_everything(as_anna: FlaskClient) -> None:
    """S4-15."""
    assert shown(as_anna) == ALL


@pytest.mark.parametrize(("by", "password"), [("web", {"password": "correct horse"}), ("admin", {})])
def test_who_registers_may_say_so_at_once(
    by: str, password: dict[str, str], request: pytest.FixtureRequest, admin: FlaskClient
) -> None:
    """S4-01, S4-05."""
    body = {"email": "carla@example.com", "push_token": "device 1", "preferences": {"email": False}} | password
    registered = request.getfixturevalue(by).post("/api/v1/users", json=body)

    assert registered.status_code == 201
    carla = registered.get_json()["data"]["user"]["id"]
    profile = admin.get(f"/api/v1/users/{carla}").get_json()["data"]
    assert (profile["preferences"], profile["push_token"]) == (ALL | {"email": False}, "device 1")


def test_a_change_shows_at_once(as_anna: FlaskClient, anna: User, admin: FlaskClient) -> None:
    """S4-16, S4-21, e-16: whoever asks, and in whichever form."""
    for change in ({"email": False}, {"push": False}, {"email": True, "push": True}, {"push": False}):
        before = shown(as_anna)
        response = as_anna.patch(PREFERENCES, json=change)

        assert response.get_json()["data"] == before | change == shown(as_anna)
        assert as_anna.get("/api/v1/users/profile").get_json()["data"]["preferences"] == before | change
        assert admin.get(f"/api/v1/users/{anna.id}/preferences").get_json()["data"] == before | change


def test_what_was_read_is_remembered_and_counted(as_anna: FlaskClient, service: Service) -> None:
    """S4-21, S4-22."""
    shown(as_anna)
    statements = []
    event.listen(service.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    for _ in range(4):
        shown(as_anna)

    assert [statement for statement in statements if "preferences" in statement] == []
    assert lookups(service) == {"hit": 4, "miss": 1}


def test_preferences_of_others_are_for_admins_and_services(
    as_anna: FlaskClient, new_user: Callable[..., User], web: FlaskClient
) -> None:
    """e-19, S4-59."""
    bert = new_user("bert")

    assert as_anna.get(f"/api/v1/users/{bert.id}/preferences").status_code == 403
    assert web.get(f"/api/v1/users/{bert.id}/preferences").status_code == 401


@only_sqlite
@pytest.mark.parametrize("body", [{}, {"sms": True}, {"email": "perhaps"}, {"push": None}])
def test_a_preference_is_yes_or_no(as_anna: FlaskClient, body: dict[str, Any]) -> None:
    assert as_anna.patch(PREFERENCES, json=body).status_code == 400
    assert shown(as_anna) == ALL


def health(client: FlaskClient) -> str:
    """S4-17."""
    state: str = client.get("/api/v1/health").get_json()["data"]["checks"]["cache"]["status"]
    return state


@only_sqlite
@pytest.mark.servers
class TestRedis:
    @pytest.fixture
    def proxy(self) -> Iterator[Proxy]:
        with Proxy(os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")) as proxy:
            yield proxy

    @pytest.fixture
    def env(self, env: dict[str, str], proxy: Proxy) -> dict[str, str]:
        return env | {"REDIS_URL": proxy.url}

    @pytest.fixture
    def on_other_replica(self, env: dict[str, str], clock: ManualClock, as_anna: FlaskClient) -> Iterator[FlaskClient]:
        """Anna at another process with a memory of its own, over the same database and Redis."""
        stop = threading.Event()
        replica = bootstrap(env, CollectorRegistry(), stop, clock=clock)
        client = replica.make_web().test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = as_anna.environ_base["HTTP_AUTHORIZATION"]
        yield client
        stop.set()
        replica.close()

    def test_replicas_see_each_others_changes_at_once(
        self, as_anna: FlaskClient, on_other_replica: FlaskClient
    ) -> None:
        """S4-21."""
        assert shown(as_anna) == shown(on_other_replica) == ALL

        as_anna.patch(PREFERENCES, json={"email": False})

        assert shown(on_other_replica) == shown(as_anna) == ALL | {"email": False}

    def test_without_redis_the_database_answers(self, as_anna: FlaskClient, proxy: Proxy) -> None:
        """S4-24."""
        shown(as_anna)
        assert health(as_anna) == "up"
        proxy.cut()
        assert health(as_anna) == "down"

        as_anna.patch(PREFERENCES, json={"push": False})

        assert shown(as_anna) == ALL | {"push": False}
