"""The service as it runs: it trusts the keys and the revocations that user-service publishes."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from werkzeug.serving import make_server

from cleanup_service.bootstrap import bootstrap
from service_chassis.clock import ManualClock
from service_chassis.http.kit import EXTENSION
from service_chassis.ids import uuid7
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.waiting import wait_until

pytestmark = only_sqlite


class Issuer:
    """Publishes a key and ended sessions as user-service does, and signs tokens with the key."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ended: list[UUID] = []
        app = Flask("issuer")
        app.add_url_rule("/.well-known/jwks.json", view_func=self.jwks)
        app.add_url_rule("/internal/revocations", view_func=self.revocations)
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def jwks(self) -> Response:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return jsonify(keys=[public | {"kid": "key-1", "alg": "RS256", "use": "sig"}])

    def revocations(self) -> Response:
        now = self._clock.now()
        expires_at = (now + timedelta(hours=1)).isoformat()
        return jsonify(
            entries=[{"sid": str(sid), "expires_at": expires_at} for sid in self.ended], cursor=now.isoformat()
        )

    def token(self, session_id: UUID) -> str:
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": "steward",
            "aud": "steward",
            "sub": str(uuid7()),
            "client_id": "steward",
            "kind": "user",
            "iat": now,
            "exp": now + 3600,
            "jti": str(uuid7()),
            "sid": str(session_id),
            "role": "admin",
        }
        return jwt.encode(claims, self._key, "RS256", headers={"kid": "key-1", "typ": "at+jwt"})

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def issuer(clock: ManualClock) -> Iterator[Issuer]:
    issuer = Issuer(clock)
    yield issuer
    issuer.stop()


@pytest.fixture
def start(env: dict[str, str], clock: ManualClock) -> Iterator[Callable[[str], FlaskClient]]:
    """Starts the web process with user-service at some address."""
    stop = threading.Event()
    started = []

    def start(url: str) -> FlaskClient:
        service = bootstrap(env | {"USER_SERVICE_URL": url}, CollectorRegistry(), stop, clock=clock)
        started.append(service)
        return service.make_web().test_client()

    yield start
    stop.set()
    for service in started:
        service.close()


def ask(web: FlaskClient, token: str) -> Any:
    return web.get("/api/v1/reports/latest", headers={"Authorization": f"Bearer {token}"})


def test_whoever_user_service_vouches_for_may_pass_until_the_session_ends(
    issuer: Issuer, start: Callable[[str], FlaskClient]
) -> None:
    web, session_id = start(issuer.url), uuid7()
    token = issuer.token(session_id)
    wait_until(lambda: web.application.extensions[EXTENSION].revocations.fresh)
    assert web.get("/readyz").status_code == 200
    assert ask(web, token).get_json()["error"] == "no_report"

    issuer.ended.append(session_id)

    wait_until(lambda: ask(web, token).status_code == 401, within=5)
    assert ask(web, token).get_json()["error"] == "session_ended"


def test_without_user_service_the_process_lives_and_lets_nobody_pass(
    issuer: Issuer, start: Callable[[str], FlaskClient]
) -> None:
    web = start("http://127.0.0.1:9")

    assert web.get("/livez").status_code == 200
    assert (ask(web, issuer.token(uuid7())).status_code, ask(web, "nonsense").status_code) == (503, 401)
    assert web.get("/readyz").get_json()["data"]["errors"].keys() == {"keys"}


def test_two_services_in_one_process_do_not_see_each_other(issuer: Issuer, start: Callable[[str], FlaskClient]) -> None:
    connected, alone = start(issuer.url), start("http://127.0.0.1:9")

    assert (connected.get("/readyz").status_code, alone.get("/readyz").status_code) == (200, 503)
