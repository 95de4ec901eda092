import base64
import hashlib
import hmac
import json
import time
from typing import Any
from uuid import UUID

import jwt
import pytest

from gateway.testing import Issuer, RunningGateway, SigningKey, StubService, UserService
from gateway.testing.behaviours import answer as answering
from gateway.testing.behaviours import echo
from service_chassis.ids import uuid7
from service_chassis.testing.waiting import wait_until

PROFILE = "/api/v1/users/profile"
HEADER = {"typ": "at+jwt", "kid": "key-1"}


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(issuer: Issuer, **header: Any) -> str:
    parts = [json.dumps(part).encode() for part in ({**HEADER, **header}, issuer.claims())]
    return ".".join(map(encoded, parts))


def test_a_request_with_a_good_token_reaches_the_service_with_it(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    answer = gateway.get(PROFILE, token=token)

    assert answer.status == 200
    assert users.seen[-1].header("Authorization") == f"Bearer {token}"


def test_without_a_token_nothing_is_asked_of_any_service(gateway: RunningGateway, users: UserService) -> None:
    answer = gateway.get(PROFILE)

    assert (answer.status, answer.error) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="steward"'
    assert not users.seen


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/users", "/api/v1/auth/password-reset/confirm"])
def test_whoever_wants_to_come_in_needs_no_token(gateway: RunningGateway, users: UserService, path: str) -> None:
    answer = gateway.post(path, body=b"{}")

    assert answer.status == 200
    assert users.seen[-1].target == path


@pytest.mark.parametrize("garbage", ["x", "a.b.c", "e30.e30.e30", "." * 50, "x" * 5_000, "ünicode", "a b"])
def test_garbage_is_no_token(gateway: RunningGateway, users: UserService, garbage: str) -> None:
    answer = gateway.get(PROFILE, headers={"Authorization": f"Bearer {garbage}".encode()})

    assert answer.status == 401
    assert answer.error in {"invalid_token", "unauthenticated"}
    assert not users.seen


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_a_token_without_a_signature_is_refused(gateway: RunningGateway, issuer: Issuer, algorithm: str) -> None:
    answer = gateway.get(PROFILE, token=unsigned(issuer, alg=algorithm) + ".")

    assert (answer.status, answer.error) == (401, "invalid_token")


@pytest.mark.parametrize("secret", ["pem", "pem without newline", "modulus"])
def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(
    gateway: RunningGateway, issuer: Issuer, secret: str
) -> None:
    key = issuer.keys[0]
    secrets = {
        "pem": key.public_pem,
        "pem without newline": key.public_pem.strip(),
        "modulus": key.published()["n"].encode(),
    }
    message = unsigned(issuer, alg="HS256")
    signature = hmac.digest(secrets[secret], message.encode(), hashlib.sha256)

    answer = gateway.get(PROFILE, token=f"{message}.{encoded(signature)}")

    assert (answer.status, answer.error) == (401, "invalid_token")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "elsewhere"},
        {"aud": None},
        {"exp": None},
        {"sub": None},
        {"sub": "1"},
        {"kind": "x"},
    ],
)
def test_a_token_for_another_place_or_without_its_claims_is_refused(
    gateway: RunningGateway, issuer: Issuer, changes: dict[str, Any]
) -> None:
    answer = gateway.get(PROFILE, token=issuer.token(**changes))

    assert (answer.status, answer.error) == (401, "invalid_token")


@pytest.mark.parametrize("header", ["jku", "jwk", "x5u", "crit"])
def test_a_token_that_brings_its_own_key_or_rules_is_refused(
    gateway: RunningGateway, issuer: Issuer, signing_keys: tuple[SigningKey, SigningKey], header: str
) -> None:
    values = {"jku": "http://evil/jwks", "jwk": signing_keys[1].published(), "x5u": "http://evil/x", "crit": ["exp"]}
    forged = {**HEADER, header: values[header]}
    token = jwt.encode(issuer.claims(), signing_keys[1].private, "RS256", headers=forged)

    answer = gateway.get(PROFILE, token=token)

    assert (answer.status, answer.error) == (401, "invalid_token")


def test_a_token_signed_by_somebody_else_is_refused(
    gateway: RunningGateway, issuer: Issuer, signing_keys: tuple[SigningKey, SigningKey]
) -> None:
    answer = gateway.get(PROFILE, token=issuer.token(signing_keys[1], kid="key-1"))

    assert (answer.status, answer.error) == (401, "invalid_token")


def test_an_expired_token_is_told_so(gateway: RunningGateway, issuer: Issuer) -> None:
    answer = gateway.get(PROFILE, token=issuer.token(exp=int(time.time()) - 60))

    assert (answer.status, answer.error) == (401, "token_expired")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_token_that_was_good_a_moment_ago_is_refused_once_it_has_expired(
    gateway: RunningGateway, issuer: Issuer
) -> None:
    # The verifier's leeway is ten seconds.
    token = issuer.token(exp=int(time.time()) - 8)
    assert gateway.get(PROFILE, token=token).status == 200

    answer = wait_until(lambda: (found := gateway.get(PROFILE, token=token)).status == 401 and found)

    assert answer.error == "token_expired"


@pytest.mark.parametrize("scheme", ["Token", "token", "TOKEN"])
def test_an_access_token_is_not_taken_for_an_opaque_one(gateway: RunningGateway, token: str, scheme: str) -> None:
    answer = gateway.get(PROFILE, headers={"Authorization": f"{scheme} {token}"})

    assert (answer.status, answer.error) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "bearer\t", "Digest x"])
def test_other_ways_to_sign_in_are_not_known(gateway: RunningGateway, value: str) -> None:
    answer = gateway.get(PROFILE, headers={"Authorization": value})

    assert (answer.status, answer.error) == (401, "unauthenticated")


def test_two_tokens_at_once_are_refused_for_nobody_knows_which_the_service_would_take(
    gateway: RunningGateway, users: UserService, issuer: Issuer
) -> None:
    good, other = issuer.token(), issuer.token()

    answer = gateway.raw(
        f"GET {PROFILE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {good}\r\n"
        f"authorization: Bearer {other}\r\nConnection: close\r\n\r\n".encode()
    )

    assert (answer.status, answer.error) == (400, "invalid_header")
    assert not users.seen


def test_a_session_that_has_ended_is_over_within_seconds(
    gateway: RunningGateway, issuer: Issuer, users: UserService
) -> None:
    session = uuid7()
    token, other = issuer.token(sid=str(session)), issuer.token()
    assert gateway.get(PROFILE, token=token).status == 200

    issuer.end(session)
    answer = wait_until(lambda: (found := gateway.get(PROFILE, token=token)).status != 200 and found, within=3)

    assert (answer.status, answer.error) == (401, "session_ended")
    assert gateway.get(PROFILE, token=other).status == 200


def test_while_ended_sessions_cannot_be_told_reading_goes_on_and_writing_waits(
    gateway: RunningGateway, users: UserService, cleanup: StubService, token: str
) -> None:
    assert gateway.post("/api/v1/users/7/deactivate", token=token).status == 200

    users.tells_ended = False
    answer = wait_until(
        lambda: (found := gateway.post("/api/v1/users/7/deactivate", token=token)).status != 200 and found
    )

    assert (answer.status, answer.error) == (503, "revocations_stale")
    assert answer.headers["Retry-After"] == "1"
    assert gateway.get(PROFILE, token=token).status == 200
    assert gateway.get("/api/v1/cleanup/runs", token=token).error == "revocations_stale"
    assert gateway.post("/api/v1/auth/login").status == 200
    status = gateway.get("/status").json["data"]
    assert (status["status"], status["checks"]["revocations"]["status"]) == ("degraded", "down")
    users.tells_ended = True
    wait_until(lambda: gateway.post("/api/v1/users/7/deactivate", token=token).status == 200)


def test_with_a_shared_secret_tokens_are_verified_without_any_key_being_fetched(
    start: Any, issuer: Issuer, users: UserService
) -> None:
    secret = "a secret that both sides share, and nobody else"
    gateway = start(JWT_ALGORITHM="HS256", JWT_SECRET=secret)
    good = jwt.encode(issuer.claims(), secret, "HS256", headers=HEADER)

    assert gateway.get(PROFILE, token=good).status == 200
    assert gateway.get(PROFILE, token=issuer.token()).error == "invalid_token"
    assert users.key_fetches == 0


def test_a_user_id_is_known_from_the_token_alone(gateway: RunningGateway, users: UserService, token: str) -> None:
    forged = (
        "X-User-Id: 1\r\nX_User_Id: 1\r\nX.User.Id: 1\r\nx-USER-id: 2\r\nX-User-Role: admin\r\nX_User_Role: admin\r\n"
        "X-Account-Id: 5\r\nX-Gateway-Secret: guessed\r\nX-Forwarded-User: root\r\nRemote_User: root\r\nX-Forwarded-For: 10.0.0.1\r\n"
        "X_Forwarded_For: 10.0.0.1\r\nX-Correlation-ID: mine\r\nConnection: X-Custom, keep-alive\r\nX-Custom: 1\r\n"
    )

    answer = gateway.raw(
        f"GET {PROFILE} HTTP/1.1\r\nHost: steward.test\r\nAuthorization: Bearer {token}\r\n{forged}\r\n".encode()
    )

    assert answer.status == 200
    seen = users.seen[-1]
    said = {name for name in seen.names if name.startswith(("x-user", "x-account", "remote", "x-custom"))}
    assert not said
    assert seen.header("X-Forwarded-For") == "127.0.0.1"
    assert [name for name, _ in seen.headers].count("X-Forwarded-For") == 1
    assert seen.header("X-Forwarded-Host") == "steward.test"
    assert seen.header("X-Forwarded-Proto") == "http"
    assert [value for name, value in seen.headers if name == "X-Gateway-Secret"] == ["demo-gateway-secret"]
    assert seen.header("X-Correlation-ID") == "mine"


def test_ids_of_sessions_may_be_missing_in_tokens_of_services(
    gateway: RunningGateway, users: UserService, issuer: Issuer
) -> None:
    token = issuer.token(kind="service", sid=None, role=None, sub=str(UUID(int=1)))

    assert gateway.get(PROFILE, token=token).status == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/auth/logout"), ("DELETE", PROFILE)])
def test_the_gateway_remembers_a_session_whose_end_it_has_passed_on(
    gateway: RunningGateway, users: UserService, token: str, method: str, path: str
) -> None:
    """S2-05, C-41."""
    assert gateway.request(method, path, token=token).status == 200

    answer = gateway.get("/api/v1/accounts", token=token)

    assert (answer.status, answer.error) == (401, "session_ended")
    assert [seen.target for seen in users.seen] == [path]


def test_a_session_that_the_service_did_not_end_goes_on(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    users.behaves = answering(409)
    assert gateway.request("DELETE", PROFILE, token=token).status == 409
    users.behaves = echo

    assert gateway.get(PROFILE, token=token).status == 200
