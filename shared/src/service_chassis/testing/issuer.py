"""Stands for user-service as other services see it: publishes a key and ended sessions, and signs tokens."""

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, Response, jsonify
from werkzeug.serving import make_server

from service_chassis.clock import Clock
from service_chassis.ids import uuid7

LIFETIME = timedelta(hours=1)


class Issuer:
    def __init__(self, clock: Clock) -> None:
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
        expires_at = (now + LIFETIME).isoformat()
        return jsonify(
            entries=[{"sid": str(sid), "expires_at": expires_at} for sid in self.ended], cursor=now.isoformat()
        )

    def token(self, session_id: UUID) -> str:
        """Return a token signed with the published key."""
        return jwt.encode(self._claims(session_id), self._key, "RS256", headers={"kid": "key-1", "typ": "at+jwt"})

    def token_by(self, secret: str, session_id: UUID) -> str:
        """Return a token signed with a shared secret instead."""
        return jwt.encode(self._claims(session_id), secret, "HS256", headers={"kid": "shared", "typ": "at+jwt"})

    def _claims(self, session_id: UUID) -> dict[str, Any]:
        now = int(self._clock.now().timestamp())
        return {
            "iss": "steward",
            "aud": "steward",
            "sub": str(uuid7()),
            "client_id": "steward",
            "kind": "user",
            "iat": now,
            "exp": now + int(LIFETIME.total_seconds()),
            "jti": str(uuid7()),
            "sid": str(session_id),
            "role": "admin",
        }

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
