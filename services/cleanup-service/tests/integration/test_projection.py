"""What is known of users does not depend on the order in which it was heard, nor on how often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import hypothesis
from hypothesis import strategies as st
from sqlalchemy import select

import event_contracts as contracts
from cleanup_service.messaging.subscriptions import subscriptions
from cleanup_service.model.known_user import KnownUser
from cleanup_service.persistence.unit_of_work import UnitOfWork
from event_contracts import UserActivityRecorded, UserPurged, UserWatermark
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event, Outgoing, decoded, encoded, received
from service_chassis.unit_of_work import Units

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
SUBSCRIPTIONS = subscriptions()


@dataclass(frozen=True)
class Known:
    """What a projection should hold of a user in the end."""

    role: str
    status: str
    last_activity_at: datetime
    version: int


@dataclass(frozen=True)
class Story:
    """The history of one user: its events in the order they happened, and what they come to."""

    events: tuple[Outgoing, ...]
    known: Known


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draw the life of a user as user-service tells it."""
    user = uuid7()
    now = NOON + timedelta(minutes=draw(st.integers(0, 10)))
    known = Known(draw(st.sampled_from(["user", "manager"])), "active", now, 1)
    events = [state(contracts.UserRegistered, user, known, email="", name="")]
    for happening in draw(st.lists(st.sampled_from(["seen", "updated", "switched", "purged"]), max_size=8)):
        now += timedelta(minutes=draw(st.integers(1, 100)))
        event, known = HAPPENINGS[happening](user, known, now)
        events.append(event)
        if happening == "purged":
            break
    return Story(tuple(events), known)


def seen(user: UUID, known: Known, now: datetime) -> tuple[Outgoing, Known]:
    event = UserActivityRecorded(user_id=user, at=now, signal="refresh")
    return Outgoing(event), replace(known, last_activity_at=now)


def updated(user: UUID, known: Known, now: datetime) -> tuple[Outgoing, Known]:
    role = "user" if known.role == "manager" else "manager"
    known = replace(known, role=role, version=known.version + 1)
    return state(contracts.UserUpdated, user, known, email="", name=""), known


def switched(user: UUID, known: Known, now: datetime) -> tuple[Outgoing, Known]:
    if known.status == "active":
        known = replace(known, status="deactivated", version=known.version + 1)
        return state(contracts.UserDeactivated, user, known, deactivated_at=now), known
    known = replace(known, status="active", version=known.version + 1, last_activity_at=now)
    return state(contracts.UserReactivated, user, known, reactivated_at=now), known


def purged(user: UUID, known: Known, now: datetime) -> tuple[Outgoing, Known]:
    # The purge began before the last activity was committed, as clocks of two processes may have it.
    known = Known("user", "purged", known.last_activity_at - timedelta(seconds=1), known.version + 1)
    return Outgoing(UserPurged(user_id=user, purged_at=known.last_activity_at), version=known.version), known


HAPPENINGS = {"seen": seen, "updated": updated, "switched": switched, "purged": purged}


def state(contract: Callable[..., Any], user: UUID, known: Known, **more: Any) -> Outgoing:
    event = contract(
        user_id=user,
        number=1,
        role=known.role,
        status=known.status,
        registered_at=NOON,
        last_activity_at=known.last_activity_at,
        **more,
    )
    return Outgoing(event, version=known.version)


def hear(uow: UnitOfWork, events: Sequence[Event]) -> None:
    """Hand events to their handlers as the consumer does: those of one type that arrived together at once."""
    by_type: dict[str, list[Event]] = {}
    for event in events:
        by_type.setdefault(event.type, []).append(event)
    for event_type, together in by_type.items():
        SUBSCRIPTIONS[event_type].call(together, uow)


def on_the_wire(outgoing: Outgoing) -> Event:
    message = encoded(outgoing, NOON)
    (envelope,) = decoded(message.content_type, message.body.encode())
    return received(envelope, type(outgoing.data))


def known_users(units: Units[UnitOfWork]) -> dict[UUID, Known]:
    with units.read() as uow:
        rows = uow.session.scalars(select(KnownUser))
        return {row.user_id: Known(row.role, row.status, row.last_activity_at, row.version) for row in rows}


def test_any_order_and_repetition_of_a_history_comes_to_the_same(units: Units[UnitOfWork]) -> None:
    @hypothesis.settings(max_examples=60)
    @hypothesis.given(st.lists(stories(), min_size=1, max_size=3), st.data())
    def comes_to_the_same(lives: list[Story], data: st.DataObject) -> None:
        events = [on_the_wire(outgoing) for life in lives for outgoing in life.events]
        repeated = data.draw(st.lists(st.sampled_from(events), max_size=10))
        arrivals = data.draw(st.permutations(events + repeated))
        together = data.draw(st.integers(1, len(arrivals)))

        for start in range(0, len(arrivals), together):
            with units.write() as uow:
                hear(uow, arrivals[start : start + together])

        users = known_users(units)
        assert [users[UUID(life.events[0].data.subject)] for life in lives] == [life.known for life in lives]

    comes_to_the_same()


def test_a_history_heard_again_from_the_beginning_changes_nothing(units: Units[UnitOfWork]) -> None:
    @hypothesis.settings(max_examples=20)
    @hypothesis.given(stories())
    def changes_nothing(life: Story) -> None:
        events = [on_the_wire(outgoing) for outgoing in life.events]
        for arrivals in (events, events, events[:1]):
            with units.write() as uow:
                hear(uow, arrivals)

        assert known_users(units)[UUID(life.events[0].data.subject)] == life.known

    changes_nothing()


def test_watermarks_move_forward_only(units: Units[UnitOfWork], clock: ManualClock) -> None:
    early, late = clock.now(), clock.now() + timedelta(seconds=10)
    with units.read() as uow:
        assert uow.known_users.watermark() is None

    for as_of in (early, late, early):
        with units.write() as uow:
            hear(uow, [on_the_wire(Outgoing(UserWatermark(as_of=as_of)))])

    with units.read() as uow:
        assert uow.known_users.watermark() == late


def test_a_user_heard_of_by_activity_only_is_not_counted_as_active(units: Units[UnitOfWork]) -> None:
    with units.write() as uow:
        hear(uow, [on_the_wire(Outgoing(UserActivityRecorded(user_id=uuid7(), at=NOON, signal="sign_in")))])

    with units.read() as uow:
        assert uow.known_users.active_count() == 0
