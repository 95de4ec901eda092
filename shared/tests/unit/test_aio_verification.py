import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from service_chassis.aio import KeysAtHand, LoopVerifier
from service_chassis.clock import ManualClock
from service_chassis.errors import Unavailable
from service_chassis.tokens import InvalidToken, KeySet, KeysUnavailable, TokenVerifier

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEYS = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("old", "new")}


class Issuer:
    """Publishes keys, slowly where a test holds it up, and counts how often it is asked."""

    def __init__(self) -> None:
        self.published = ["old"]
        self.away = False
        self.fetches = 0
        self.go = threading.Event()
        self.go.set()

    def fetch(self) -> dict[str, Any]:
        self.fetches += 1
        self.go.wait(5)
        if self.away:
            raise Unavailable
        keys = {kid: ECAlgorithm.to_jwk(KEYS[kid].public_key(), as_dict=True) for kid in self.published}
        return {"keys": [{**jwk, "kid": kid} for kid, jwk in keys.items()]}


def token(kid: str, called: str | None = None) -> str:
    claims = {
        "iss": "steward",
        "aud": "steward",
        "sub": "00000000-0000-0000-0000-000000000001",
        "client_id": "tests",
        "kind": "user",
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(hours=1)).timestamp()),
        "jti": "1",
    }
    return jwt.encode(claims, KEYS[kid], "ES256", headers={"typ": "at+jwt", "kid": called or kid})


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def keys(issuer: Issuer, seconds: Seconds) -> KeySet:
    return KeySet(issuer.fetch, now=seconds)


@pytest.fixture
def verifier(keys: KeySet) -> LoopVerifier:
    options: dict[str, Any] = {"algorithm": "ES256", "issuer": "steward", "audience": "steward"}
    return LoopVerifier(TokenVerifier(KeysAtHand(keys), clock=ManualClock(NOW), **options), keys)


def test_a_token_of_a_known_key_is_verified_without_asking_anybody(
    keys: KeySet, verifier: LoopVerifier, issuer: Issuer
) -> None:
    keys.load()

    principal = asyncio.run(verifier.verify(token("old")))

    assert principal.client_id == "tests"
    assert issuer.fetches == 1


def test_a_new_key_is_fetched_once_for_all_who_bring_it(
    keys: KeySet, verifier: LoopVerifier, issuer: Issuer, seconds: Seconds
) -> None:
    keys.load()
    issuer.published = ["old", "new"]
    seconds.now = 31

    async def many() -> list[Any]:
        return await asyncio.gather(*(verifier.verify(token("new")) for _ in range(20)))

    assert len(asyncio.run(many())) == 20
    assert issuer.fetches == 2


def test_during_the_cooldown_an_unknown_key_is_refused_without_a_fetch(
    keys: KeySet, verifier: LoopVerifier, issuer: Issuer
) -> None:
    keys.load()

    async def flood() -> list[Any]:
        tokens = [token("new", called=f"unknown-{number}") for number in range(50)]
        return await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True)

    assert {type(result) for result in asyncio.run(flood())} == {InvalidToken}
    assert issuer.fetches == 1


def test_a_fetch_that_takes_long_holds_up_nobody_with_a_known_key(
    keys: KeySet, verifier: LoopVerifier, issuer: Issuer, seconds: Seconds
) -> None:
    keys.load()
    seconds.now = 31
    issuer.go.clear()

    async def both() -> str:
        waiting = asyncio.create_task(verifier.verify(token("new")))
        while issuer.fetches < 2:  # noqa: ASYNC110  # The other thread has no event of this loop to set.
            await asyncio.sleep(0.001)
        principal = await asyncio.wait_for(verifier.verify(token("old")), 1)
        issuer.go.set()
        with pytest.raises(InvalidToken):
            await waiting
        return principal.client_id

    assert asyncio.run(both()) == "tests"


def test_one_who_stops_waiting_does_not_end_the_fetch_for_the_others(
    keys: KeySet, verifier: LoopVerifier, issuer: Issuer, seconds: Seconds
) -> None:
    keys.load()
    issuer.published = ["new"]
    seconds.now = 31
    issuer.go.clear()

    async def one_leaves() -> str:
        leaving = asyncio.create_task(verifier.verify(token("new")))
        staying = asyncio.create_task(verifier.verify(token("new")))
        while issuer.fetches < 2:  # noqa: ASYNC110  # The other thread has no event of this loop to set.
            await asyncio.sleep(0.001)
        leaving.cancel()
        issuer.go.set()
        return (await staying).client_id

    assert asyncio.run(one_leaves()) == "tests"
    assert issuer.fetches == 2


def test_without_any_keys_nobody_can_tell(verifier: LoopVerifier, issuer: Issuer) -> None:
    issuer.away = True

    with pytest.raises(KeysUnavailable) as refusal:
        asyncio.run(verifier.verify(token("old")))

    assert refusal.value.retry_after == 1


@pytest.mark.parametrize("kid", [None, 7, ["old"], {"old": 1}])
def test_a_key_that_is_not_named_by_a_text_is_not_looked_for(
    keys: KeySet, verifier: LoopVerifier, issuer: Issuer, kid: Any
) -> None:
    keys.load()
    _, payload, signature = token("old").split(".")
    changed = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": kid}).encode()

    with pytest.raises(InvalidToken):
        asyncio.run(verifier.verify(".".join((jwt.utils.base64url_encode(changed).decode(), payload, signature))))

    assert issuer.fetches == 1
