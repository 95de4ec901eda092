"""Guessing passwords gets slower and slower, and whoever is guessed at can sign in all the same."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.bootstrap import bootstrap
from user_service.model.throttle import ACCOUNT, ACCOUNT_BY_DEVICES, ADDRESS, ADDRESS_BY_DEVICES, REGISTRATION, Throttle
from user_service.model.user import User
from user_service.usecases import throttling

AUTH = "/api/v1/auth"
LOGIN = f"{AUTH}/login"
PASSWORD, NEW = "correct horse", "battery staple"
SECOND = timedelta(seconds=1)


def login(
    web: FlaskClient, email: str, password: str = PASSWORD, *, address: str = "198.51.100.7", **more: Any
) -> TestResponse:
    headers = {"X-Forwarded-For": address}
    return web.post(LOGIN, json={"email": email, "password": password, **more}, headers=headers)


def guess(web: FlaskClient, email: str, times: int, **more: Any) -> list[int]:
    return [login(web, email, "wrong", **more).status_code for _ in range(times)]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def test_after_a_few_failures_even_the_right_password_has_to_wait(
    web: FlaskClient, anna: User, clock: ManualClock
) -> None:
    assert guess(web, anna.email, ACCOUNT.free) == [401] * ACCOUNT.free

    refused = login(web, anna.email)

    assert error(refused) == (429, "too_many_attempts")
    assert refused.headers["Retry-After"] == "1"
    clock.advance(SECOND)
    assert login(web, anna.email).status_code == 200


def test_each_further_failure_doubles_the_wait(web: FlaskClient, anna: User, clock: ManualClock) -> None:
    guess(web, anna.email, ACCOUNT.free)
    waits = []
    for _ in range(4):
        waits.append(int(login(web, anna.email).headers["Retry-After"]))
        clock.advance(waits[-1] * SECOND)
        guess(web, anna.email, 1)

    assert waits == [1, 2, 4, 8]


@only_sqlite
def test_what_is_refused_for_now_is_not_counted(web: FlaskClient, anna: User, clock: ManualClock) -> None:
    guess(web, anna.email, ACCOUNT.free)

    guess(web, anna.email, 10)

    clock.advance(SECOND)
    assert login(web, anna.email).status_code == 200


def test_a_success_forgets_the_failures_before_it(web: FlaskClient, anna: User) -> None:
    guess(web, anna.email, ACCOUNT.free - 1)
    assert login(web, anna.email).status_code == 200

    assert guess(web, anna.email, ACCOUNT.free) == [401] * ACCOUNT.free


def test_an_address_nobody_has_is_throttled_like_any_other(web: FlaskClient, anna: User) -> None:
    known = guess(web, anna.email, ACCOUNT.free + 2)
    unknown = guess(web, "nobody@example.com", ACCOUNT.free + 2)

    assert known == unknown
    assert login(web, anna.email).data == login(web, "nobody@example.com").data


@only_sqlite
def test_another_spelling_is_no_other_account(web: FlaskClient, anna: User) -> None:
    for spelling in (
        " Anna@Example.com",
        "ANNA@EXAMPLE.COM",
        "anna@example.com",
        "anna@EXAMPLE.com ",
        "aNNa@example.com",
    ):
        guess(web, spelling, 1)

    assert login(web, anna.email).status_code == 429


def test_more_than_a_hundred_failures_in_a_row_do_not_happen(web: FlaskClient, anna: User, clock: ManualClock) -> None:
    verified = 0
    for number in range(150):
        clock.advance(ACCOUNT.longest)
        verified += login(web, anna.email, "wrong", address=f"198.51.100.{number}").status_code == 401

    assert verified == ACCOUNT.most == 100
    assert error(login(web, anna.email, address="203.0.113.1")) == (429, "too_many_attempts")


def test_whoever_tries_many_accounts_from_one_address_is_slowed_down(web: FlaskClient, anna: User) -> None:
    statuses = [login(web, f"user{number}@example.com", "wrong").status_code for number in range(ADDRESS.free + 1)]

    assert statuses == [401] * ADDRESS.free + [429]
    assert login(web, anna.email).status_code == 429
    assert login(web, anna.email, address="203.0.113.1").status_code == 200


@only_sqlite
def test_an_ipv6_network_is_one_address(web: FlaskClient) -> None:
    for number in range(ADDRESS.free):
        login(web, f"user{number}@example.com", "wrong", address=f"2001:db8:0:1::{number:x}")

    assert login(web, "another@example.com", "wrong", address="2001:db8:0:1:ffff::1").status_code == 429
    assert login(web, "another@example.com", "wrong", address="2001:db8:0:2::1").status_code == 401


@only_sqlite
def test_only_the_gateway_is_believed_where_a_request_comes_from(web: FlaskClient) -> None:
    """Also on loopback, where anybody on the machine reaches the port."""
    for peer, shown in (("127.0.0.1", None), ("::1", "guessed"), ("203.0.113.50", "")):
        stranger = web.application.test_client()
        stranger.environ_base["REMOTE_ADDR"] = peer
        if shown is not None:
            stranger.environ_base["HTTP_X_GATEWAY_SECRET"] = shown

        statuses = [
            login(stranger, f"user{number}@example.com", "wrong", address=f"198.51.100.{number}").status_code
            for number in range(ADDRESS.free + 1)
        ]

        assert (statuses[0], statuses[-1]) == (401, 429)


def test_on_a_device_one_has_signed_in_from_the_failures_of_others_do_not_count(
    web: FlaskClient, anna: User, clock: ManualClock
) -> None:
    device = login(web, anna.email).get_json()["data"]["device_token"]
    guess(web, anna.email, ACCOUNT.free)
    assert login(web, anna.email).status_code == 429

    assert login(web, anna.email, device_token=device).status_code == 200


@only_sqlite
def test_a_device_has_to_wait_for_its_own_failures(web: FlaskClient, anna: User) -> None:
    device = login(web, anna.email).get_json()["data"]["device_token"]

    assert guess(web, anna.email, ACCOUNT.free + 1, device_token=device) == [401] * ACCOUNT.free + [429]
    assert login(web, anna.email).status_code == 200


@only_sqlite
def test_the_device_of_another_user_opens_nothing(web: FlaskClient, anna: User, new_user: Callable[..., User]) -> None:
    bert = new_user("bert")
    device = login(web, bert.email).get_json()["data"]["device_token"]
    guess(web, anna.email, ACCOUNT.free)

    assert login(web, anna.email, device_token=device).status_code == 429


def devices(web: FlaskClient, email: str, number: int) -> list[str]:
    return [login(web, email).get_json()["data"]["device_token"] for _ in range(number)]


def test_many_devices_are_not_worth_many_times_the_guesses(web: FlaskClient, anna: User) -> None:
    """S 10."""
    known = devices(web, anna.email, 8)

    statuses = [guess(web, anna.email, ACCOUNT.free, device_token=device) for device in known]

    counted = [status for of_one in statuses for status in of_one]
    assert counted == [401] * ACCOUNT_BY_DEVICES.free + [429] * (8 * ACCOUNT.free - ACCOUNT_BY_DEVICES.free)
    assert login(web, anna.email).status_code == 200


def test_who_signs_in_on_a_known_device_forgets_the_failures_on_all_of_them(web: FlaskClient, anna: User) -> None:
    """S 10."""
    first, *others, last = devices(web, anna.email, 5)
    for device in (first, *others):
        guess(web, anna.email, ACCOUNT.free - 1, device_token=device)

    assert login(web, anna.email, device_token=last).status_code == 200
    assert guess(web, anna.email, ACCOUNT.free, device_token=last) == [401] * ACCOUNT.free


def test_known_devices_that_fail_at_one_address_make_it_wait_at_a_higher_bound(
    web: FlaskClient, anna: User, service: Service
) -> None:
    """S 10."""
    first, second = devices(web, anna.email, 2)
    guess(web, anna.email, 1, device_token=first)
    with service.units.write() as uow:
        address = Throttle.key.startswith("devices:")
        uow.session.execute(update(Throttle).where(address).values(failures=ADDRESS_BY_DEVICES.free - 1))

    assert guess(web, anna.email, 1, device_token=first) == [401]
    assert login(web, anna.email, device_token=second).status_code == 429
    assert login(web, anna.email, device_token=second, address="203.0.113.1").status_code == 200
    assert ADDRESS_BY_DEVICES.free > ADDRESS.free


@pytest.mark.parametrize("how", ["changed", "reset"])
def test_with_the_password_the_tokens_of_all_devices_end(
    web: FlaskClient, anna: User, mails: Callable[[], list[dict[str, Any]]], how: str
) -> None:
    """S 10."""
    device = login(web, anna.email).get_json()["data"]["device_token"]
    if how == "changed":
        assert change_password(web, anna.email).status_code == 200
    else:
        web.post(f"{AUTH}/password-reset", json={"email": anna.email})
        web.post(f"{AUTH}/password-reset/confirm", json={"token": mails()[0]["token"], "password": NEW})
    guess(web, anna.email, ACCOUNT.free)

    assert login(web, anna.email, NEW, device_token=device).status_code == 429


def test_where_the_password_is_changed_the_device_stays_known(web: FlaskClient, anna: User) -> None:
    """S 10."""
    device = change_password(web, anna.email).get_json()["data"]["device_token"]
    guess(web, anna.email, ACCOUNT.free)

    assert login(web, anna.email, NEW, device_token=device).status_code == 200


def test_a_reset_lets_somebody_in_whose_devices_have_to_wait(
    web: FlaskClient, anna: User, mails: Callable[[], list[dict[str, Any]]]
) -> None:
    """S 10."""
    for device in devices(web, anna.email, ACCOUNT_BY_DEVICES.free // ACCOUNT.free):
        guess(web, anna.email, ACCOUNT.free, device_token=device)
    web.post(f"{AUTH}/password-reset", json={"email": anna.email})
    web.post(f"{AUTH}/password-reset/confirm", json={"token": mails()[0]["token"], "password": NEW})

    device = login(web, anna.email, NEW).get_json()["data"]["device_token"]
    assert login(web, anna.email, NEW, device_token=device).status_code == 200


def change_password(web: FlaskClient, email: str) -> TestResponse:
    tokens = login(web, email).get_json()["data"]
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return web.post(f"{AUTH}/password", json={"current_password": PASSWORD, "password": NEW}, headers=headers)


def test_failures_survive_a_restart(web: FlaskClient, anna: User, env: dict[str, str], clock: ManualClock) -> None:
    guess(web, anna.email, ACCOUNT.free)
    restarted = bootstrap(env, CollectorRegistry(), threading.Event(), clock=clock)

    with pytest.raises(throttling.TooManyAttempts):
        restarted.parts.sign_in(anna.email, PASSWORD)

    restarted.close()


def test_guesses_made_at_once_are_no_way_around(web: FlaskClient, anna: User) -> None:
    with ThreadPoolExecutor(20) as threads:
        statuses = list(
            threads.map(lambda _: login(web.application.test_client(), anna.email, "wrong").status_code, range(20))
        )

    assert statuses.count(401) == ACCOUNT.free
    assert statuses.count(429) == 20 - ACCOUNT.free


@only_sqlite
def test_the_rows_do_not_say_who_was_tried(web: FlaskClient, anna: User, service: Service) -> None:
    guess(web, anna.email, 1)

    with service.units.read() as uow:
        keys = list(uow.session.scalars(select(Throttle.key)))

    assert len(keys) == 2
    assert not [key for key in keys if "anna" in key or "198.51" in key]


def test_what_nobody_waits_for_is_deleted(web: FlaskClient, anna: User, service: Service, clock: ManualClock) -> None:
    guess(web, anna.email, 1)
    clock.advance(ADDRESS.memory)
    assert len(forget(service)) == 1
    clock.advance(ACCOUNT.memory)

    assert forget(service) == []


def forget(service: Service) -> list[str]:
    with service.units.write() as uow:
        throttling.forget(uow)
        return list(uow.session.scalars(select(Throttle.key)))


def register(web: FlaskClient, name: str, *, address: str = "198.51.100.7", **more: str) -> TestResponse:
    body = {"email": f"{name}@example.com", "password": PASSWORD} | more
    return web.post("/api/v1/users", json=body, headers={"X-Forwarded-For": address})


def test_every_registration_from_an_address_counts(web: FlaskClient, service: Service) -> None:
    statuses = [register(web, "user0").status_code]
    with service.units.write() as uow:
        uow.session.execute(update(Throttle).values(failures=REGISTRATION.free - 2))
    statuses += [register(web, f"user{number}").status_code for number in (1, 2, 3)]

    assert statuses == [201, 201, 201, 429]
    assert register(web, "user3", address="203.0.113.1").status_code == 201


@only_sqlite
def test_an_address_that_has_to_wait_costs_no_hashing(web: FlaskClient, anna: User) -> None:
    for _ in range(ADDRESS.free):
        assert register(web, "anna").status_code == 409

    refused = register(web, "anna")

    assert error(refused) == (429, "too_many_attempts")
    # What is wrong with the password would be said first if anybody looked at it.
    assert error(register(web, "bert", password="short")) == (429, "too_many_attempts")
