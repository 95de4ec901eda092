import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from service_chassis.clients import ReadThrough, UpstreamUnavailable, read_through
from service_chassis.clock import ManualClock
from service_chassis.testing.waiting import wait_until


class Owner:
    """Knows what exists, and counts how often it is asked."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.asked: list[str] = []

    def __call__(self, key: str) -> str | None:
        self.asked.append(key)
        assert self.open.wait(10)
        if self.error is not None:
            raise self.error
        return self.users.get(key)


def nothing(_: str) -> str | None:
    return None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def users(clock: ManualClock) -> ReadThrough[str, str]:
    return ReadThrough(now=lambda: clock.now().timestamp())


def test_what_the_projection_holds_is_believed_at_once(users: ReadThrough[str, str], owner: Owner) -> None:
    assert users.confirm("anna", lambda key: f"local {key}", owner) == "local anna"

    assert owner.asked == []


def test_what_the_projection_misses_is_asked_of_the_owner(users: ReadThrough[str, str], owner: Owner) -> None:
    owner.users["anna"] = "Anna"

    assert users.confirm("anna", nothing, owner) == "Anna"
    assert users.confirm("ben", nothing, owner) is None


def test_the_no_of_the_owner_is_remembered_for_two_seconds(
    users: ReadThrough[str, str], owner: Owner, clock: ManualClock
) -> None:
    users.confirm("anna", nothing, owner)
    owner.users["anna"] = "Anna"
    assert users.confirm("anna", nothing, owner) is None

    clock.advance(timedelta(seconds=2))

    assert users.confirm("anna", nothing, owner) == "Anna"
    assert owner.asked == ["anna", "anna"]


def test_an_event_that_arrives_meanwhile_counts_at_once(users: ReadThrough[str, str], owner: Owner) -> None:
    users.confirm("anna", nothing, owner)

    assert users.confirm("anna", lambda _: "Anna", owner) == "Anna"


def test_when_the_owner_is_down_there_is_no_answer_and_nothing_is_remembered(
    users: ReadThrough[str, str], owner: Owner
) -> None:
    owner.error = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        users.confirm("anna", nothing, owner)

    owner.error = None
    owner.users["anna"] = "Anna"

    assert users.confirm("anna", nothing, owner) == "Anna"


@pytest.mark.parametrize("error", [None, UpstreamUnavailable()])
def test_those_who_miss_the_same_ask_together(
    users: ReadThrough[str, str], owner: Owner, error: Exception | None
) -> None:
    owner.error = error
    owner.open.clear()
    missed = threading.Semaphore(0)

    def outcome() -> str | None:
        try:
            return users.confirm("anna", counting(missed), owner)
        except UpstreamUnavailable:
            return "unavailable"

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(outcome) for _ in range(8)]
        assert all(missed.acquire(timeout=10) for _ in range(8))
        wait_until(lambda: owner.asked)
        owner.open.set()
        outcomes = {done.result(10) for done in waiting}

    assert outcomes == ({None} if error is None else {"unavailable"})


def counting(missed: threading.Semaphore) -> Callable[[str], str | None]:
    def lookup(_: str) -> str | None:
        missed.release()
        return None

    return lookup


def test_only_the_latest_denials_are_remembered(
    users: ReadThrough[str, str], owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_through, "MOST_DENIALS", 2)
    for key in ("anna", "ben", "cora", "cora", "ben", "anna"):
        users.confirm(key, nothing, owner)

    assert owner.asked == ["anna", "ben", "cora", "anna"]
