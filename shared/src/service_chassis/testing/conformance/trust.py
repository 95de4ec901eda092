"""What every service owes user-service: it trusts the keys and the revocations published there, and nothing else."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from service_chassis.clock import ManualClock
from service_chassis.http.kit import EXTENSION
from service_chassis.ids import uuid7
from service_chassis.testing.issuer import Issuer
from service_chassis.testing.service import Bootstrap
from service_chassis.testing.waiting import wait_until

Start = Callable[..., FlaskClient]
SECRET = "a secret that all services share, and nobody else"
NOWHERE = "http://127.0.0.1:9"


class TrustConformance:
    """Derive from it, and name a list that an admin may read."""

    path: str

    @pytest.fixture
    def issuer(self, clock: ManualClock) -> Iterator[Issuer]:
        issuer = Issuer(clock)
        yield issuer
        issuer.stop()

    @pytest.fixture
    def start(self, bootstrap: Bootstrap, env: dict[str, str], clock: ManualClock) -> Iterator[Start]:
        """Starts the web process with user-service at some address."""
        stop = threading.Event()
        started = []

        def start(url: str, **settings: str) -> FlaskClient:
            service = bootstrap(env | settings | {"USER_SERVICE_URL": url}, CollectorRegistry(), stop, clock=clock)
            started.append(service)
            return service.make_web().test_client()

        yield start
        stop.set()
        for service in started:
            service.close()

    def ask(self, web: FlaskClient, token: str) -> Any:
        return web.get(self.path, headers={"Authorization": f"Bearer {token}"})

    def test_whoever_user_service_vouches_for_may_pass_until_the_session_ends(
        self, issuer: Issuer, start: Start
    ) -> None:
        web, session_id = start(issuer.url), uuid7()
        token = issuer.token(session_id)
        wait_until(lambda: web.application.extensions[EXTENSION].revocations.fresh)
        assert web.get("/readyz").status_code == 200
        assert self.ask(web, token).status_code == 200

        issuer.ended.append(session_id)

        wait_until(lambda: self.ask(web, token).status_code == 401, within=5)
        assert self.ask(web, token).get_json()["error"] == "session_ended"

    def test_without_user_service_the_process_lives_and_lets_nobody_pass(self, issuer: Issuer, start: Start) -> None:
        web = start(NOWHERE)

        assert web.get("/livez").status_code == 200
        assert (self.ask(web, issuer.token(uuid7())).status_code, self.ask(web, "nonsense").status_code) == (503, 401)
        assert web.get("/readyz").get_json()["data"]["errors"].keys() == {"keys"}

    def test_with_a_shared_secret_tokens_signed_with_it_pass_and_no_others(self, issuer: Issuer, start: Start) -> None:
        web, session_id = start(issuer.url, JWT_ALGORITHM="HS256", JWT_SECRET=SECRET), uuid7()
        wait_until(lambda: web.application.extensions[EXTENSION].revocations.fresh)

        assert web.get("/readyz").status_code == 200
        assert self.ask(web, issuer.token_by(SECRET, session_id)).status_code == 200
        for forged in (issuer.token(session_id), issuer.token_by(SECRET[::-1], session_id)):
            assert self.ask(web, forged).get_json()["error"] == "invalid_token"

    def test_without_the_setting_no_token_signed_with_a_secret_passes(self, issuer: Issuer, start: Start) -> None:
        web = start(issuer.url, JWT_SECRET=SECRET)

        assert self.ask(web, issuer.token_by(SECRET, uuid7())).get_json()["error"] == "invalid_token"

    def test_two_services_in_one_process_do_not_see_each_other(self, issuer: Issuer, start: Start) -> None:
        connected, alone = start(issuer.url), start(NOWHERE)

        assert (connected.get("/readyz").status_code, alone.get("/readyz").status_code) == (200, 503)
