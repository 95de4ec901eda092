"""Who may pass with which token: the verifier is the chassis's, here it meets keys and tokens of ours."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask.testing import FlaskClient
from jwt.algorithms import RSAAlgorithm
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.user import User

pytestmark = only_sqlite

HEADERS = {"typ": "at+jwt"}


@pytest.fixture
def token(service: Service, anna: User) -> str:
    tokens = service.parts.sign_in(anna.email, "correct horse")
    return str(tokens.access_token)


@pytest.fixture
def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture
def key(service: Service) -> tuple[str, rsa.RSAPrivateKey]:
    pair: tuple[str, rsa.RSAPrivateKey] = service.parts.tokens.keys.current()
    return pair


def ask(web: FlaskClient, token: str) -> TestResponse:
    return web.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"})


def refusal(response: TestResponse) -> tuple[int, str]:
    assert "Traceback" not in response.text
    return response.status_code, response.get_json()["error"]


def signed(claims: dict[str, Any], key: tuple[str, Any], **headers: Any) -> str:
    kid, private = key
    return jwt.encode(claims, private, "RS256", headers=HEADERS | {"kid": kid} | headers)


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(part(json.dumps(piece).encode()) for piece in (header, claims))


def part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_token_says_who_whose_session_and_how_long(token: str, claims: dict[str, Any], anna: User) -> None:
    assert jwt.get_unverified_header(token).keys() == {"alg", "kid", "typ"}
    assert claims.keys() == {"iss", "aud", "sub", "client_id", "kind", "iat", "exp", "jti", "sid", "role"}
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == (str(anna.id), "user", 3600)


def test_whoever_reads_the_published_keys_can_verify_a_token(web: FlaskClient, token: str) -> None:
    """S4-03."""
    answer = web.get("/.well-known/jwks.json")
    (jwk,) = answer.get_json()["keys"]

    verified = jwt.decode(
        token,
        jwt.PyJWK(jwk),
        algorithms=["RS256"],
        audience="steward",
        options={"verify_exp": False, "verify_iat": False},
    )

    assert verified["role"] == "user"
    assert answer.headers["Cache-Control"] == "public, max-age=300"


def test_nothing_private_is_published(web: FlaskClient) -> None:
    (jwk,) = web.get("/.well-known/jwks.json").get_json()["keys"]

    assert jwk.keys() == {"kty", "n", "e", "kid", "alg", "use"}


def test_a_token_without_a_signature_is_refused(web: FlaskClient, claims: dict[str, Any], key: tuple[str, Any]) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        forged = unsigned(HEADERS | {"alg": algorithm, "kid": key[0]}, claims | {"role": "admin"})

        assert refusal(ask(web, f"{forged}.")) == (401, "invalid_token")


def test_the_public_key_is_no_shared_secret(web: FlaskClient, claims: dict[str, Any], key: tuple[str, Any]) -> None:
    kid, private = key
    public = private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, json.dumps(RSAAlgorithm.to_jwk(public, as_dict=True)).encode()):
        message = unsigned(HEADERS | {"alg": "HS256", "kid": kid}, claims | {"role": "admin"})
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(message.encode(), secret)

        assert refusal(ask(web, f"{message}.{part(signature)}")) == (401, "invalid_token")


def test_another_key_under_the_same_name_is_refused(
    web: FlaskClient, claims: dict[str, Any], key: tuple[str, Any]
) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert refusal(ask(web, signed(claims, (key[0], stranger)))) == (401, "invalid_token")
    assert refusal(ask(web, signed(claims, ("unknown", stranger)))) == (401, "invalid_token")


CLAIMS_NOT_OURS: list[dict[str, Any]] = [
    {"iss": "somebody"},
    {"aud": "something"},
    {"aud": None},
    {"sub": None},
    {"sub": "anna"},
    {"sid": "session"},
    {"exp": None},
    {"jti": None},
    {"kind": "robot"},
    {"iat": 9_999_999_999},
]
HEADERS_NOT_OURS: list[dict[str, Any]] = [
    {"typ": "JWT"},
    {"typ": None},
    {"jku": "https://keys.example"},
    {"crit": ["exp"]},
]


def test_claims_that_are_not_ours_are_refused_whoever_signed_them(
    web: FlaskClient, claims: dict[str, Any], key: tuple[str, Any]
) -> None:
    def refused(change: dict[str, Any]) -> tuple[int, str]:
        changed = {name: value for name, value in (claims | change).items() if value is not None}
        return refusal(ask(web, signed(changed, key)))

    assert {str(change): refused(change) for change in CLAIMS_NOT_OURS} == {
        str(change): (401, "invalid_token") for change in CLAIMS_NOT_OURS
    }
    assert ask(web, signed(claims, key)).status_code == 200


def test_a_header_that_is_not_ours_is_refused(web: FlaskClient, claims: dict[str, Any], key: tuple[str, Any]) -> None:
    refused = {str(header): refusal(ask(web, signed(claims, key, **header))) for header in HEADERS_NOT_OURS}

    assert refused == {str(header): (401, "invalid_token") for header in HEADERS_NOT_OURS}


def test_a_token_expires(web: FlaskClient, token: str, clock: ManualClock) -> None:
    assert ask(web, token).status_code == 200
    clock.advance(timedelta(hours=1, seconds=11))

    assert refusal(ask(web, token)) == (401, "token_expired")


def test_an_expired_token_does_not_come_back_with_a_new_date(
    web: FlaskClient, token: str, claims: dict[str, Any], clock: ManualClock
) -> None:
    header, _, signature = token.split(".")
    later = part(json.dumps(claims | {"exp": claims["exp"] + 3600}).encode())
    clock.advance(timedelta(hours=1, seconds=11))

    assert refusal(ask(web, f"{header}.{later}.{signature}")) == (401, "invalid_token")


def test_a_token_of_which_a_single_letter_was_changed_is_refused(web: FlaskClient, token: str) -> None:
    for position in (len(token.split(".", maxsplit=1)[0]) // 2, len(token) // 2, len(token) - 20):
        letter = "A" if token[position] != "A" else "B"
        tampered = token[:position] + letter + token[position + 1 :]

        assert refusal(ask(web, tampered)) == (401, "invalid_token")


def test_what_is_no_token_is_refused(web: FlaskClient) -> None:
    for text in ("nonsense", "a.b.c", "..", "a.b.c.d", "x" * 8193):
        assert refusal(ask(web, text)) == (401, "invalid_token")


def test_identity_headers_are_worth_nothing(web: FlaskClient, anna: User) -> None:
    forged = {"X-User-Id": str(anna.id), "X-User-Role": "admin", "X_User_Id": str(anna.id)}

    response = web.get("/api/v1/users", headers=forged)

    assert refusal(response) == (401, "unauthenticated")
