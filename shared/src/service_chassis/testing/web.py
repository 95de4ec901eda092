"""A web application to try things on: real tokens, real revocations, a log that can be read back."""

import io
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from service_chassis.clock import Clock
from service_chassis.database import Database
from service_chassis.http import Blueprint, web_app
from service_chassis.ids import uuid7
from service_chassis.logs import make_log
from service_chassis.metrics import Metrics
from service_chassis.revocation import FRESH_FOR, Entry, RevocationList
from service_chassis.tokens import SharedSecret, TokenVerifier
from service_chassis.unit_of_work import UnitOfWork, Units

SECRET = "a secret of the tests, and of nobody else"
ISSUER = "the tests"
AUDIENCE = "steward"
LIFETIME = timedelta(hours=1)


class Callers:
    """Signs tokens as the issuer would, and can end sessions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seconds = 0.0
        self.verifier = TokenVerifier(
            SharedSecret(SECRET), algorithm="HS256", issuer=ISSUER, audience=AUDIENCE, clock=clock
        )
        self.revocations = RevocationList(clock, lambda: self._seconds)
        self.revocations.add([])

    def token(self, role: str = "user", *, subject: UUID | None = None, session_id: UUID | None = None) -> str:
        now = self._clock.now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(subject or uuid7()),
            "client_id": "tests",
            "kind": "user",
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": str(uuid7()),
            "sid": str(session_id or uuid7()),
            "role": role,
        }
        return jwt.encode(claims, SECRET, "HS256", headers={"typ": "at+jwt"})

    def headers(self, role: str = "user", **options: Any) -> dict[str, str]:
        """Return the headers of a request by somebody who is signed in."""
        return {"Authorization": f"Bearer {self.token(role, **options)}"}

    def end(self, session_id: UUID) -> None:
        self.revocations.add([Entry(session_id, self._clock.now() + LIFETIME)])

    def lose_the_feed(self) -> None:
        """Let so much time pass since the last answer of the feed that it counts as stale."""
        self._seconds += FRESH_FOR


class Trial:
    """A service's web application over a database, with a client that may be signed in."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *blueprints: Blueprint,
        name: str = "trial",
        make: type[UnitOfWork] = UnitOfWork,
        **options: Any,
    ) -> None:
        self.callers = Callers(clock)
        self.units = Units(database, make, clock)
        self.registry = CollectorRegistry()
        self._lines = io.StringIO()
        self.app: Flask = web_app(
            name,
            f"{name} API",
            units=self.units,
            verifier=self.callers.verifier,
            revocations=self.callers.revocations,
            metrics=Metrics(self.registry, name),
            log=make_log(name, level="DEBUG", stream=self._lines),
            secret=SECRET,
            blueprints=blueprints,
            **options,
        )

    def client(self, role: str | None = "user", **options: Any) -> FlaskClient:
        """Return a client that sends its own token with every request, or none where there is no role."""
        client = self.app.test_client()
        if role is not None:
            client.environ_base["HTTP_AUTHORIZATION"] = self.callers.headers(role, **options)["Authorization"]
        return client

    def log(self) -> list[dict[str, Any]]:
        """Return the lines logged so far."""
        return [json.loads(line) for line in self._lines.getvalue().splitlines()]
