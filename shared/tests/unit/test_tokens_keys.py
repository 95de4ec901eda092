import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from service_chassis.clock import ManualClock
from service_chassis.errors import Unavailable
from service_chassis.testing.waiting import wait_until
from service_chassis.tokens import InvalidToken, KeySet, KeysUnavailable

PRIVATE = ed25519.Ed25519PrivateKey.generate()


def jwk(kid: str, **changes: Any) -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True), "kid": kid, **changes}


class Issuer:
    """The published keys, which may change, be away or take long."""

    def __init__(self) -> None:
        self.document: Any = {"keys": [jwk("one")]}
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.fetches = 0

    def publishes(self, *keys: dict[str, Any]) -> None:
        self.document = {"keys": list(keys)}

    def __call__(self) -> Any:
        self.fetches += 1
        assert self.open.wait(10)
        if self.error is not None:
            raise self.error
        return self.document


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def keys(issuer: Issuer, clock: ManualClock) -> KeySet:
    return KeySet(issuer, now=lambda: clock.now().timestamp())


def is_known(keys: KeySet, kid: str) -> Callable[[], bool]:
    return lambda: keys.knows(kid)


def test_the_first_keys_are_fetched_when_readiness_asks(keys: KeySet, issuer: Issuer) -> None:
    loaded_before = keys.loaded

    keys.load()

    assert (loaded_before, keys.loaded) == (False, True)
    assert issuer.fetches == 1


def test_known_keys_cost_no_fetch(keys: KeySet, issuer: Issuer) -> None:
    for _ in range(100):
        keys.key("one")

    assert issuer.fetches == 1


def test_a_flood_of_unknown_keys_costs_one_fetch_per_cooldown(keys: KeySet, issuer: Issuer, clock: ManualClock) -> None:
    keys.load()
    clock.advance(timedelta(seconds=30))

    for number in range(50):
        with pytest.raises(InvalidToken):
            keys.key(f"made-up-{number}")
    assert issuer.fetches == 2

    clock.advance(timedelta(seconds=30))
    with pytest.raises(InvalidToken):
        keys.key("made-up")
    assert issuer.fetches == 3


@pytest.mark.parametrize("kid", [None, 7, "", "a b", "../one", "k" * 65, ["one"]])
def test_an_odd_key_id_is_never_worth_a_fetch(keys: KeySet, issuer: Issuer, clock: ManualClock, kid: object) -> None:
    keys.load()
    clock.advance(timedelta(seconds=30))

    with pytest.raises(InvalidToken):
        keys.key(kid)

    assert issuer.fetches == 1


def test_those_who_need_a_new_key_wait_for_one_fetch_together(keys: KeySet, issuer: Issuer, clock: ManualClock) -> None:
    keys.load()
    clock.advance(timedelta(seconds=30))
    issuer.publishes(jwk("one"), jwk("two"))
    issuer.open.clear()

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(keys.key, "two") for _ in range(8)]
        wait_until(lambda: issuer.fetches == 2)
        keys.key("one")
        issuer.open.set()
        found = {id(done.result(10)) for done in waiting}

    assert len(found) == 1
    assert issuer.fetches == 2


def test_a_refresh_that_is_due_makes_nobody_wait(keys: KeySet, issuer: Issuer, clock: ManualClock) -> None:
    keys.load()
    issuer.publishes(jwk("one"), jwk("two"))
    issuer.open.clear()
    clock.advance(timedelta(minutes=5))

    for _ in range(5):
        keys.key("one")

    issuer.open.set()
    wait_until(is_known(keys, "two"))
    assert issuer.fetches == 2


def test_old_keys_serve_for_hours_while_the_issuer_is_away(keys: KeySet, issuer: Issuer, clock: ManualClock) -> None:
    keys.load()
    issuer.error = Unavailable("down")

    for fetches in range(2, 6):
        clock.advance(timedelta(hours=5))
        keys.key("one")
        wait_until(lambda expected=fetches: issuer.fetches == expected)  # type: ignore[misc]  # Binds the loop's value.

    clock.advance(timedelta(hours=5))
    assert not keys.loaded
    with pytest.raises(KeysUnavailable):
        keys.key("one")


def test_keys_come_back_with_the_issuer(keys: KeySet, issuer: Issuer, clock: ManualClock) -> None:
    issuer.error = ConnectionError("refused")
    with pytest.raises(KeysUnavailable):
        keys.key("one")
    issuer.error = None

    assert not keys.load()
    clock.advance(timedelta(seconds=1))
    assert keys.load()


@pytest.mark.parametrize(
    "document", [b"<html>", b"{}", b'{"keys": 7}', {"keys": ["one"]}, {"keys": []}, {"keys": [{"kid": "one"}]}, 7]
)
def test_a_document_that_is_no_key_set_keeps_the_old_keys(
    keys: KeySet, issuer: Issuer, clock: ManualClock, document: Any
) -> None:
    keys.load()
    issuer.document = document
    clock.advance(timedelta(seconds=30))

    with pytest.raises(InvalidToken):
        keys.key("two")

    keys.key("one")


def test_a_document_may_come_as_bytes(keys: KeySet, issuer: Issuer) -> None:
    issuer.document = json.dumps({"keys": [jwk("one")]}).encode()

    assert keys.load()


def test_only_public_signature_keys_are_taken_and_an_odd_one_does_no_harm(keys: KeySet, issuer: Issuer) -> None:
    issuer.publishes(
        jwk("private", d="c2VjcmV0"),
        jwk("encryption", use="enc"),
        jwk("broken", x="!"),
        jwk("new-curve", crv="Ed999"),
        jwk("number", x=7),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {"kty": "RSA", "kid": "empty"},
        jwk("signature", use="sig"),
    )

    keys.load()

    named = ("private", "encryption", "broken", "new-curve", "number", "symmetric", "empty", "signature")
    assert [kid for kid in named if keys.knows(kid)] == ["signature"]
