import base64
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from service_chassis.clock import ManualClock
from service_chassis.tokens import (
    InvalidToken,
    KeySet,
    KeysUnavailable,
    Principal,
    SharedSecret,
    TokenExpired,
    TokenVerifier,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
USER = UUID(int=1)
SESSION = UUID(int=2)
SECRET = "s" * 32
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
HEADER = {"typ": "at+jwt", "kid": "rsa-1"}


def jwk(kid: str, key: Any = RSA) -> dict[str, Any]:
    algorithms: dict[type, Any] = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm = next((algorithms[kind] for kind in algorithms if isinstance(key, kind)), OKPAlgorithm)
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}


class Issuer:
    """The published keys, which may change or be away, and how often they were asked for."""

    def __init__(self) -> None:
        self.keys = [jwk("rsa-1"), jwk("ec-1", EC), jwk("ed-1", ED)]
        self.error: Exception | None = None
        self.fetches = 0

    def __call__(self) -> dict[str, Any]:
        self.fetches += 1
        if self.error is not None:
            raise self.error
        return {"keys": self.keys}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def keys(issuer: Issuer, clock: ManualClock) -> KeySet:
    return KeySet(issuer, now=lambda: clock.now().timestamp())


@pytest.fixture
def verifier(keys: KeySet, clock: ManualClock) -> TokenVerifier:
    return a_verifier(keys, clock)


def a_verifier(keys: Any, clock: ManualClock, algorithm: str = "RS256", **settings: Any) -> TokenVerifier:
    return TokenVerifier(keys, algorithm=algorithm, issuer="steward", audience="steward-api", clock=clock, **settings)


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a user's token; a change to None takes the claim out."""
    usual = {
        "iss": "steward",
        "aud": "steward-api",
        "sub": str(USER),
        "kind": "user",
        "role": "admin",
        "sid": str(SESSION),
        "client_id": "web",
        "jti": "token-1",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "scope": "users:read users:write",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def token(key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    headers = {**HEADER, **(header or {})}
    return jwt.encode(claims(**changes), key, algorithm, headers={k: v for k, v in headers.items() if v is not None})


def without(claim: str) -> str:
    changes: dict[str, Any] = {claim: None}
    return token(**changes)


def hand_made(header: dict[str, Any], signature: bytes = b"", secret: bytes | None = None) -> str:
    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims()).encode())}"
    if secret is not None:
        signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(signature)}"


def test_a_token_says_who_calls(verifier: TokenVerifier) -> None:
    caller = verifier.verify(token())

    assert caller == Principal(
        subject=USER,
        kind="user",
        role="admin",
        session_id=SESSION,
        client_id="web",
        token_id="token-1",
        issued_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        scopes=frozenset({"users:read", "users:write"}),
    )


def test_a_service_has_neither_role_nor_session(verifier: TokenVerifier) -> None:
    caller = verifier.verify(token(kind="service", role=None, sid=None, scope=None, client_id="task-service"))

    assert (caller.kind, caller.role, caller.session_id, caller.scopes) == ("service", None, None, frozenset())


@pytest.mark.parametrize(
    ("algorithm", "kid", "key"), [("RS256", "rsa-1", RSA), ("ES256", "ec-1", EC), ("EdDSA", "ed-1", ED)]
)
def test_the_one_algorithm_is_a_setting(keys: KeySet, clock: ManualClock, algorithm: str, kid: str, key: Any) -> None:
    verifier = a_verifier(keys, clock, algorithm)

    assert verifier.verify(token(key, algorithm, {"kid": kid})).subject == USER


PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(token(iss="somebody"), id="wrong issuer"),
        pytest.param(token(aud="another-api"), id="wrong audience"),
        pytest.param(token(OTHER_RSA), id="signed with another key"),
        pytest.param(token(EC, "ES256", {"kid": "ec-1"}), id="another algorithm, properly signed"),
        pytest.param(token(EC, "ES256"), id="another algorithm under the right kid"),
        pytest.param(token(RSA, "RS512"), id="same key, another hash"),
        pytest.param(hand_made({**HEADER, "alg": "none"}), id="alg none"),
        pytest.param(hand_made({**HEADER, "alg": "NONE"}), id="alg NONE"),
        pytest.param(hand_made(HEADER), id="no alg"),
        pytest.param(hand_made({**HEADER, "alg": ["RS256"]}), id="a list of algs"),
        pytest.param(hand_made({**HEADER, "alg": "HS256"}, secret=PUBLIC_PEM), id="HS256 with the public key"),
        pytest.param(hand_made({**HEADER, "alg": "RS256"}, secret=PUBLIC_PEM), id="HMAC called RS256"),
        pytest.param(token(header={"kid": "rsa-2"}), id="unknown kid"),
        pytest.param(token(header={"kid": None}), id="no kid"),
        pytest.param(token(header={"kid": "../../etc/passwd"}), id="kid is a path"),
        pytest.param(token(header={"kid": "k" * 65}), id="kid too long"),
        pytest.param(token(header={"kid": "rsa-1\n"}), id="kid ends with a newline"),
        pytest.param(token(header={"typ": "JWT"}), id="typ JWT"),
        pytest.param(token(header={"typ": "refresh+jwt"}), id="a refresh token"),
        pytest.param(hand_made({"kid": "rsa-1", "alg": "RS256", "typ": 1}), id="typ is a number"),
        pytest.param(token(header={"jku": "https://evil.example/jwks"}), id="jku"),
        pytest.param(token(header={"jwk": jwk("evil", OTHER_RSA)}), id="jwk"),
        pytest.param(token(header={"x5u": "https://evil.example/cert"}), id="x5u"),
        pytest.param(token(header={"x5c": ["cert"]}), id="x5c"),
        pytest.param(hand_made({**HEADER, "alg": "RS256", "crit": ["exp"], "exp": 1}), id="crit"),
        pytest.param(token()[:-4] + "AAAA", id="signature altered"),
        pytest.param("", id="nothing"),
        pytest.param("a.b", id="two parts"),
        pytest.param("....", id="dots"),
        pytest.param("ä.ö.ü", id="not ASCII"),
        pytest.param("\udce4.b.c", id="a lone surrogate"),
        pytest.param("a" * 10_000, id="too long"),
        *[pytest.param(without(name), id=f"no {name}") for name in claims() if name not in {"role", "scope", "sid"}],
        pytest.param(token(sub="anna@example.org"), id="sub is an e-mail"),
        pytest.param(token(kind="root"), id="unknown kind"),
        pytest.param(token(sid="nonsense"), id="sid is no UUID"),
        pytest.param(token(role=["admin"]), id="a list of roles"),
        pytest.param(token(exp=10**12), id="exp beyond all time"),
        pytest.param(token(exp="tomorrow"), id="exp is a word"),
        pytest.param(token(client_id=""), id="empty client_id"),
        pytest.param(token(iat=int(NOW.timestamp()) + 11), id="issued in the future"),
        pytest.param(token(nbf=int(NOW.timestamp()) + 11), id="not valid yet"),
    ],
)  # fmt: skip
def test_a_token_that_is_not_exactly_right_is_invalid(verifier: TokenVerifier, forged: str) -> None:
    with pytest.raises(InvalidToken) as refusal:
        verifier.verify(forged)

    assert (refusal.value.status, refusal.value.code) == (401, "invalid_token")
    assert verifier.cached(forged) is None


def test_an_expired_token_is_refused_as_expired_after_the_leeway(verifier: TokenVerifier, clock: ManualClock) -> None:
    clock.advance(timedelta(hours=1, seconds=9))
    assert verifier.verify(token()).subject == USER

    clock.advance(timedelta(seconds=1))
    with pytest.raises(TokenExpired) as refusal:
        verifier.verify(token(jti="token-2"))

    assert (refusal.value.status, refusal.value.code) == (401, "token_expired")


def test_an_expired_forgery_is_invalid_and_not_merely_expired(verifier: TokenVerifier, clock: ManualClock) -> None:
    clock.advance(timedelta(hours=2))

    with pytest.raises(InvalidToken):
        verifier.verify(token(OTHER_RSA))


def test_a_verified_token_is_remembered_until_it_expires(verifier: TokenVerifier, clock: ManualClock) -> None:
    given = token()
    assert verifier.cached(given) is None
    caller = verifier.verify(given)

    assert verifier.cached(given) is caller
    assert verifier.verify(given) is caller
    clock.advance(timedelta(hours=1, seconds=10))
    with pytest.raises(TokenExpired):
        verifier.verify(given)


def test_the_token_used_longest_ago_is_forgotten_first(keys: KeySet, clock: ManualClock) -> None:
    verifier = a_verifier(keys, clock, cache_size=2)
    first, second, third = (token(jti=name) for name in ("first", "second", "third"))
    verifier.verify(first)
    verifier.verify(second)
    verifier.verify(first)

    verifier.verify(third)

    assert [verifier.cached(given) is not None for given in (first, second, third)] == [True, False, True]


def test_many_threads_may_verify_at_once(keys: KeySet, clock: ManualClock) -> None:
    verifier = a_verifier(keys, clock, cache_size=3)
    tokens = [token(jti=str(number)) for number in range(8)]

    with ThreadPoolExecutor(8) as threads:
        callers = list(threads.map(verifier.verify, tokens * 25))

    assert [caller.token_id for caller in callers] == [str(number) for number in range(8)] * 25


def test_a_withdrawn_key_takes_its_tokens_with_it(verifier: TokenVerifier, keys: KeySet, issuer: Issuer, clock: ManualClock) -> None:  # fmt: skip
    given = token()
    verifier.verify(given)
    issuer.keys = [jwk("rsa-2", OTHER_RSA)]
    clock.advance(timedelta(seconds=30))
    keys.key("rsa-2")

    with pytest.raises(InvalidToken):
        verifier.verify(given)


def test_without_any_keys_nobody_is_refused_for_good(verifier: TokenVerifier, issuer: Issuer) -> None:
    issuer.error = ConnectionError("refused")

    with pytest.raises(KeysUnavailable) as failure:
        verifier.verify(token())

    assert (failure.value.status, failure.value.code) == (503, "keys_unavailable")


def test_with_a_shared_secret_only_hs256_is_accepted(clock: ManualClock) -> None:
    verifier = a_verifier(SharedSecret(SECRET), clock, "HS256")

    assert verifier.verify(token(SECRET, "HS256", {"kid": None})).subject == USER
    for forged in (token(), token("t" * 32, "HS256"), token("s" * 64, "HS512"), hand_made({**HEADER, "alg": "none"})):
        with pytest.raises(InvalidToken):
            verifier.verify(forged)


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SharedSecret("s" * 31)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "RS512", ""])
def test_published_keys_go_with_asymmetric_algorithms_only(keys: KeySet, clock: ManualClock, algorithm: str) -> None:
    with pytest.raises(ValueError, match="does not go with"):
        a_verifier(keys, clock, algorithm)


def test_a_shared_secret_never_verifies_as_a_public_key(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="does not go with"):
        a_verifier(SharedSecret(SECRET), clock, "RS256")


def test_the_leeway_is_bounded(keys: KeySet, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="at most 60 seconds"):
        a_verifier(keys, clock, leeway=timedelta(seconds=61))
