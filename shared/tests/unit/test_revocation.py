import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from service_chassis.breaker import Breaker
from service_chassis.clients import Answer, Request, ServiceClient, UpstreamUnavailable
from service_chassis.clock import ManualClock
from service_chassis.errors import ServiceError
from service_chassis.revocation import Entry, Feed, RevocationList, RevocationPoller, RevocationsStale, feed_of
from service_chassis.testing.waiting import wait_until
from service_chassis.tokens import Principal

START = datetime(2026, 5, 1, tzinfo=UTC)
SESSION = UUID(int=7)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def revocations(clock: ManualClock) -> RevocationList:
    return RevocationList(clock, monotonic=lambda: clock.now().timestamp())


def caller(session_id: UUID | None = SESSION) -> Principal:
    return Principal(uuid4(), "user", "user", session_id, "web", "jti", START, START, frozenset())


def ended(sid: UUID = SESSION, minutes: int = 60) -> Entry:
    return Entry(sid, START + timedelta(minutes=minutes))


class FeedScript:
    """Answers each poll with the next of what it was given, and the last one from then on."""

    def __init__(self, *answers: Feed | ServiceError) -> None:
        self._answers = list(answers)
        self.asked_after: list[str | None] = []

    def __call__(self, after: str | None) -> Feed:
        self.asked_after.append(after)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, ServiceError):
            raise answer
        return answer


def feed(entries: Iterable[Entry] = (), cursor: str = "1") -> Feed:
    return Feed(list(entries), cursor)


def test_a_session_that_has_ended_is_refused_and_others_are_not(revocations: RevocationList) -> None:
    revocations.add([ended()])

    assert revocations.is_revoked(caller())
    assert not revocations.is_revoked(caller(uuid4()))
    assert not revocations.is_revoked(caller(None))


def test_repeated_entries_change_nothing(revocations: RevocationList) -> None:
    for _ in range(3):
        revocations.add([ended(), ended()])

    assert len(revocations) == 1


def test_an_entry_is_kept_until_no_verifier_accepts_its_tokens(revocations: RevocationList, clock: ManualClock) -> None:
    revocations.add([ended(minutes=60)])

    clock.advance(timedelta(minutes=60, seconds=59))
    revocations.add([])
    assert revocations.is_revoked(caller())

    clock.advance(timedelta(seconds=1))
    revocations.add([])
    assert not revocations.is_revoked(caller())
    assert len(revocations) == 0


def test_the_later_of_two_expiries_counts(revocations: RevocationList, clock: ManualClock) -> None:
    revocations.add([ended(minutes=60), ended(minutes=90), ended(minutes=30)])

    clock.advance(timedelta(minutes=80))
    revocations.add([])

    assert revocations.is_revoked(caller())


def test_the_list_is_fresh_for_five_seconds_after_the_feed_was_asked(
    revocations: RevocationList, clock: ManualClock
) -> None:
    asked_at = clock.now().timestamp()
    fresh = [revocations.fresh]

    clock.advance(timedelta(seconds=3))
    revocations.add([], asked_at=asked_at)
    fresh.append(revocations.fresh)
    clock.advance(timedelta(seconds=2))
    fresh.append(revocations.fresh)

    assert fresh == [False, True, False]
    assert revocations.age == 5


def test_a_poll_asks_for_what_came_after_the_last_one(revocations: RevocationList) -> None:
    script = FeedScript(feed([ended()], cursor="17"), feed(cursor="18"))
    poller = RevocationPoller(script, revocations, threading.Event())

    poller.poll_once()
    poller.poll_once()

    assert script.asked_after == [None, "17"]
    assert revocations.is_revoked(caller())


def test_the_poller_polls_at_once_and_outlives_failures(revocations: RevocationList) -> None:
    stop = threading.Event()
    script = FeedScript(UpstreamUnavailable(), UpstreamUnavailable(), feed([ended()]))
    thread = RevocationPoller(script, revocations, stop, interval=0.001).start()

    wait_until(lambda: revocations.is_revoked(caller()))

    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert script.asked_after[:3] == [None, None, None]


def test_a_failed_poll_is_repeated_long_before_the_next_would_be_due(revocations: RevocationList) -> None:
    stop = threading.Event()
    thread = RevocationPoller(
        FeedScript(UpstreamUnavailable(), feed([ended()])), revocations, stop, interval=60
    ).start()

    wait_until(lambda: revocations.is_revoked(caller()), within=5)

    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_failing_poller_tells_why(revocations: RevocationList) -> None:
    stop = threading.Event()
    poller = RevocationPoller(FeedScript(UpstreamUnavailable("away")), revocations, stop, interval=0.001)
    thread = poller.start()

    wait_until(lambda: poller.error is not None and poller.error.message == "away")

    stop.set()
    thread.join(10)
    assert not revocations.fresh


def test_the_feed_is_read_from_user_service() -> None:
    asked: list[str] = []

    def transport(request: Request) -> Answer:
        asked.append(request.url)
        body = b'{"entries":[{"sid":"00000000-0000-0000-0000-000000000007","expires_at":"2026-05-01T01:00:00Z"}],'
        return Answer(200, body + b'"cursor":"a b","later_field":1}')

    fetch = feed_of(ServiceClient("http://users", breaker=Breaker("user-service"), transport=transport))

    first = fetch(None)
    fetch(first.cursor)

    assert first == feed([ended()], cursor="a b")
    assert asked == ["http://users/internal/revocations", "http://users/internal/revocations?after=a+b"]


def test_a_stale_list_is_unavailable_under_its_own_code() -> None:
    assert (RevocationsStale.status, RevocationsStale.code) == (503, "revocations_stale")
