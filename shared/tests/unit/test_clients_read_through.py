import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from service_chassis.clients import ReadThrough, UpstreamUnavailable, read_through
from service_chassis.clock import ManualClock
from service_chassis.testing.waiting import wait_until


class Owner:
    """Knows what exists, and keeps what it was asked."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.asked: list[list[str]] = []

    def __call__(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(list(keys))
        assert self.open.wait(10)
        if self.error is not None:
            raise self.error
        return {key: self.users[key] for key in keys if key in self.users}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def users(clock: ManualClock) -> ReadThrough[str, str]:
    return ReadThrough(now=lambda: clock.now().timestamp())


def test_the_owner_is_asked_about_all_in_one_call(users: ReadThrough[str, str], owner: Owner) -> None:
    owner.users = {"anna": "Anna", "cora": "Cora"}

    assert users.confirm(["anna", "ben", "cora", "anna"], owner) == {"anna": "Anna", "cora": "Cora"}
    assert owner.asked == [["anna", "ben", "cora"]]


def test_where_nothing_is_missed_nobody_is_asked(users: ReadThrough[str, str], owner: Owner) -> None:
    assert users.confirm([], owner) == {}
    assert owner.asked == []


def test_the_no_of_the_owner_is_remembered_for_two_seconds(
    users: ReadThrough[str, str], owner: Owner, clock: ManualClock
) -> None:
    users.confirm(["anna"], owner)
    owner.users = {"anna": "Anna", "ben": "Ben"}
    assert users.confirm(["anna", "ben"], owner) == {"ben": "Ben"}

    clock.advance(timedelta(seconds=2))

    assert users.confirm(["anna"], owner) == {"anna": "Anna"}
    assert owner.asked == [["anna"], ["ben"], ["anna"]]


def test_the_yes_of_the_owner_is_not_remembered(users: ReadThrough[str, str], owner: Owner) -> None:
    owner.users = {"anna": "Anna"}
    users.confirm(["anna"], owner)
    owner.users = {}

    assert users.confirm(["anna"], owner) == {}


def test_when_the_owner_is_down_there_is_no_answer_and_nothing_is_remembered(
    users: ReadThrough[str, str], owner: Owner
) -> None:
    owner.error = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        users.confirm(["anna", "ben"], owner)

    owner.error = None
    owner.users["anna"] = "Anna"

    assert users.confirm(["anna", "ben"], owner) == {"anna": "Anna"}


@pytest.mark.parametrize("error", [None, UpstreamUnavailable()])
def test_those_who_miss_the_same_ask_about_it_once(
    users: ReadThrough[str, str], owner: Owner, error: Exception | None
) -> None:
    owner.error = error
    owner.users = {"anna": "Anna"}
    owner.open.clear()

    def outcome(*keys: str) -> Mapping[str, str] | str:
        try:
            return users.confirm(keys, owner)
        except UpstreamUnavailable:
            return "unavailable"

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(outcome, "anna", "ben")
        wait_until(lambda: len(owner.asked) == 1)
        second = threads.submit(outcome, "ben", "anna", "cora")
        wait_until(lambda: len(owner.asked) == 2)
        owner.open.set()
        outcomes = [done.result(10) for done in (first, second)]

    assert owner.asked == [["anna", "ben"], ["cora"]]
    assert outcomes == ([{"anna": "Anna"}] * 2 if error is None else ["unavailable"] * 2)


def test_only_the_latest_denials_are_remembered(
    users: ReadThrough[str, str], owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_through, "MOST_DENIALS", 2)
    for keys in (["anna", "ben", "cora"], ["cora"], ["ben"], ["anna"]):
        users.confirm(keys, owner)

    assert owner.asked == [["anna", "ben", "cora"], ["anna"]]
