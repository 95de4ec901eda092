"""One signing key follows another, and no token is refused on the way."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from service_chassis.tokens import KeySet, TokenVerifier
from user_service.model.signing import ALGORITHM
from user_service.model.user import User
from user_service.usecases import signing_keys

SECRET = "demo-key-encryption-secret"
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAYS_90 = timedelta(days=90)


@pytest.fixture
def elsewhere(web: FlaskClient, clock: ManualClock) -> TokenVerifier:
    """A verifier in another service, which keeps the keys it has fetched for five minutes."""
    keys = KeySet(lambda: published(web), now=lambda: clock.now().timestamp())
    return TokenVerifier(keys, algorithm=ALGORITHM, issuer="steward", audience="steward", clock=clock)


def published(web: FlaskClient) -> Any:
    return web.get("/.well-known/jwks.json").get_json()


def kids(web: FlaskClient) -> list[str]:
    return [key["kid"] for key in published(web)["keys"]]


def signed_by(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def rotate(service: Service) -> str:
    with service.units.write() as uow:
        return signing_keys.rotate(uow, SECRET).kid


def forget(service: Service) -> None:
    with service.units.write() as uow:
        signing_keys.forget(uow, HOUR)


def test_during_a_roll_no_token_is_refused_anywhere(
    web: FlaskClient, service: Service, anna: User, clock: ManualClock, elsewhere: TokenVerifier
) -> None:
    (old,) = kids(web)
    new = rotate(service)
    alive: list[str] = []
    used = []
    for _ in range(120):
        alive.append(service.parts.sign_in(anna.email, "correct horse").access_token)
        used.append(signed_by(alive[-1]))
        for token in (alive[0], alive[-1]):
            elsewhere.verify(token)
            assert web.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        clock.advance(MINUTE)
        alive = alive[-55:]
        forget(service)

    assert used == sorted(used, key=[old, new].index)
    assert set(used) == {old, new}
    assert kids(web) == [new]


def test_a_key_is_published_before_it_signs(web: FlaskClient, service: Service, anna: User, clock: ManualClock) -> None:
    (old,) = kids(web)
    new = rotate(service)
    clock.advance(signing_keys.FRESH)

    assert kids(web) == [new, old]
    clock.advance(signing_keys.LEAD - signing_keys.FRESH - timedelta(seconds=1))
    assert signed_by(service.parts.sign_in(anna.email, "correct horse").access_token) == old
    clock.advance(timedelta(seconds=1))
    assert signed_by(service.parts.sign_in(anna.email, "correct horse").access_token) == new


def test_verifiers_keep_keys_for_less_time_than_the_next_one_is_published_before_it_signs() -> None:
    cached_by_http = timedelta(seconds=300)
    kept = KeySet(lambda: b"")._lifetime

    assert timedelta(seconds=kept) + cached_by_http + signing_keys.USABLE < signing_keys.LEAD


@only_sqlite
def test_rotating_twice_in_a_row_makes_one_key(web: FlaskClient, service: Service, clock: ManualClock) -> None:
    first = rotate(service)
    second = rotate(service)
    clock.advance(signing_keys.LEAD)

    assert second == first
    assert rotate(service) != first


def test_a_key_is_withdrawn_once_the_last_token_it_signed_is_dead(
    web: FlaskClient, service: Service, clock: ManualClock
) -> None:
    (old,) = kids(web)
    new = rotate(service)
    clock.advance(signing_keys.LEAD + HOUR)
    forget(service)
    assert kids(web) == [new, old]

    clock.advance(3 * MINUTE)
    forget(service)

    clock.advance(signing_keys.FRESH)
    assert kids(web) == [new]


@only_sqlite
def test_the_only_key_is_never_withdrawn(web: FlaskClient, service: Service, clock: ManualClock) -> None:
    clock.advance(timedelta(days=1_000))
    forget(service)

    assert len(kids(web)) == 1


def test_a_key_is_due_when_it_has_served_its_time(service: Service, clock: ManualClock) -> None:
    def due() -> bool:
        with service.units.read() as uow:
            return signing_keys.is_due(uow, DAYS_90)

    assert not due()
    clock.advance(DAYS_90)
    assert due()
    with service.units.write() as uow:
        assert signing_keys.rotate_when_due(uow, SECRET) is None
    assert not due()


@only_sqlite
def test_the_worker_rotates_when_it_is_time_and_withdraws_what_is_dead(
    web: FlaskClient, service: Service, clock: ManualClock
) -> None:
    worker = service.make_worker()
    jobs = {job.name: job for job in worker.scheduler._jobs}
    (old,) = kids(web)
    assert not jobs["rotate-keys"].run()
    clock.advance(DAYS_90)

    for _ in range(2):
        assert not jobs["rotate-keys"].run()

    new, published_before = kids(web)
    assert published_before == old
    clock.advance(signing_keys.LEAD + 2 * HOUR)
    jobs["signing_keys.forget"].run()
    clock.advance(signing_keys.FRESH)
    assert kids(web) == [new]
    worker._parts.broker.close()
