"""What clients should not send, at the gateway and past it: refused with a code that stays, and nothing of our insides."""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_encode

from tests.running.door import Answer, Door
from tests.running.people import PASSWORD, person
from tests.running.steward import CLEANUP, DELIVERY, TASK, TASKS, USER, Steward
from user_service.model.signing import SigningKey

DEMO_SECRET = "demo-key-encryption-secret"
MEGABYTE = 1_048_576
INSIDES = ("Traceback", 'File "', "sqlalchemy", "site-packages", "psycopg", "sqlite3")
CLEANUP_RUNS, LOGIN, USERS, REPORTS = "/api/v1/cleanup/runs", "/api/v1/auth/login", "/api/v1/users", "/api/v1/reports"
TEMPLATES = "/api/v1/templates"


def json_of(**values: object) -> bytes:
    return json.dumps(values).encode()


BODIES = {
    "malformed JSON": (LOGIN, b'{"email": ', 400, "malformed_json"),
    "no JSON at all": (LOGIN, b"\xff\xfe\x00", 400, "malformed_json"),
    "no body": (LOGIN, b"", 400, "validation_failed"),
    "a list for an object": (LOGIN, b"[1, 2]", 400, "validation_failed"),
    "a number for a text": (LOGIN, json_of(email=7, password="x"), 400, "validation_failed"),
    "a text for a number": (CLEANUP_RUNS, json_of(threshold_days="thirty"), 400, "validation_failed"),
    "a number out of range": (CLEANUP_RUNS, json_of(threshold_days=0), 400, "validation_failed"),
    "a number beyond all bounds": (CLEANUP_RUNS, json_of(threshold_days=10**30), 400, "validation_failed"),
    "an unknown field": (LOGIN, json_of(email="a@b.c", password="x", admin=True), 400, "validation_failed"),
    "a NUL in a text": (USERS, json_of(email="a\0b@example.com", password="long enough"), 400, "validation_failed"),
    "deep nesting": (LOGIN, b"[" * 50_000, 400, "malformed_json"),
    "too large a body": (LOGIN, b'"' + b"x" * MEGABYTE + b'"', 413, "body_too_large"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused_everywhere_with_the_same_code(system: Steward, case: str) -> None:
    path, body, status, code = BODIES[case]
    owner = system.services[CLEANUP if path == CLEANUP_RUNS else USER]

    for door in (system.admin, system.admin.at(owner)):
        answer = door.send("POST", path, body)

        assert refusal(answer) == (status, code)


def test_a_bad_body_is_told_which_fields_are_wrong(system: Steward) -> None:
    body = json.dumps({"email": 7, "colour": "blue"}).encode()

    answer = system.door.send("POST", LOGIN, body)

    assert answer.body["data"]["errors"].keys() == {"email", "colour", "password"}


@pytest.mark.parametrize("query", ["statsu=active", "limit=many", "limit=-1", "status=sleeping", "cursor=%00"])
def test_a_bad_query_is_refused(system: Steward, query: str) -> None:
    answer = system.admin.send("GET", f"{USERS}?{query}")

    assert refusal(answer) in {(400, "validation_failed"), (400, "invalid_cursor")}


@pytest.mark.parametrize("headers", [{"X-User-Id": "{admin}"}, {"X_User_Id": "{admin}"}, {"X-User-Role": "admin"}])
def test_a_header_that_says_who_one_is_says_nothing(system: Steward, headers: dict[str, str]) -> None:
    admin_id = system.admin.get(USERS, role="admin", limit=1).data[0]["id"]
    anna = register(system, "anna")
    forged = {name: value.format(admin=admin_id) for name, value in headers.items()}

    for address in (system.gateway, system.services[USER]):
        nobody = system.door.at(address).send("GET", USERS, headers=forged)
        somebody = anna.at(address).send("GET", USERS, headers=forged)

        assert refusal(nobody) == (401, "unauthenticated")
        assert somebody.meta["total"] == 1
    reports = anna.send("GET", REPORTS, headers=forged)
    assert refusal(reports) == (403, "forbidden")


@dataclass(frozen=True)
class Forger:
    """Makes tokens that are wrong in one way each, with the key that signs the right ones."""

    key: RSAPrivateKey
    header: dict[str, Any]
    claims: dict[str, Any]

    def signed(self, **changes: Any) -> str:
        return jwt.encode({**self.claims, **changes}, self.key, "RS256", self.header)

    def expired(self) -> str:
        past = datetime.now(UTC) - timedelta(hours=2)
        return self.signed(iat=past, exp=past + timedelta(hours=1))

    def unsigned(self) -> str:
        return jwt.encode(self.claims, None, "none", {**self.header, "alg": "none"})

    def signed_with_what_everybody_has(self) -> str:
        """Sign with HS256 and the public key as its secret; by hand, because the library refuses to."""
        public = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        parts = ({**self.header, "alg": "HS256"}, self.claims)
        signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in parts)
        return (signed + b"." + base64url_encode(hmac.digest(public, signed, "sha256"))).decode()

    def altered(self) -> str:
        head, _, signature = self.signed().split(".")
        claims = base64url_encode(json.dumps({**self.claims, "role": "admin", "jti": "another"}).encode()).decode()
        return f"{head}.{claims}.{signature}"


TOKENS: dict[str, tuple[Callable[[Forger], str], str]] = {
    "expired": (Forger.expired, "token_expired"),
    "alg=none": (Forger.unsigned, "invalid_token"),
    "HS256 with the public key": (Forger.signed_with_what_everybody_has, "invalid_token"),
    "altered": (Forger.altered, "invalid_token"),
    "of another issuer": (lambda forger: forger.signed(iss="somebody else"), "invalid_token"),
    "for another audience": (lambda forger: forger.signed(aud="somebody else"), "invalid_token"),
    "no token at all": (lambda _: "nonsense", "invalid_token"),
}


@pytest.fixture
def forger(system: Steward) -> Forger:
    """A forger who has stolen the signing key and an admin's claims."""
    token = system.admin.token or ""
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    pem = system.value(USER, "SELECT private_pem FROM signing_keys WHERE kid = :kid", kid=header["kid"])
    return Forger(SigningKey(private_pem=pem).private_key(DEMO_SECRET), header, claims)


@pytest.mark.parametrize("case", TOKENS)
def test_a_bad_token_is_refused_everywhere_with_the_same_code(system: Steward, forger: Forger, case: str) -> None:
    make, code = TOKENS[case]
    token = make(forger)

    for address in (system.gateway, *system.services.values()):
        paths = {CLEANUP: REPORTS, TASK: TASKS, DELIVERY: TEMPLATES}
        path = {system.services[name]: path for name, path in paths.items()}.get(address, USERS)
        answer = system.door.at(address).showing(token).get(path)

        assert refusal(answer) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_forger_who_changes_nothing_gets_in(system: Steward, forger: Forger) -> None:
    token = forger.signed()

    for address in (system.gateway, system.services[USER]):
        assert system.door.at(address).showing(token).get(USERS).status == 200


def register(system: Steward, name: str) -> Door:
    """Register somebody and return the gateway as that one sees it."""
    email = person(name, days_away=0).email
    assert system.door.post(USERS, {"email": email, "password": PASSWORD}).status == 201
    return system.sign_in(email)


def refusal(answer: Answer) -> tuple[int, str | None]:
    """Return status and code of an answer that is a refusal and tells nothing else."""
    assert not any(word in answer.text for word in INSIDES), answer.text
    assert answer.body["success"] is False
    assert answer.body["message"]
    return answer.status, answer.error
