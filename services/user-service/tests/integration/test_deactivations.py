"""What cleanup-service asks for, as the worker of user-service answers it."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from event_contracts import Contract, DeactivationRequested, UserDeactivated, UserDeactivationRefused
from service_chassis import correlation
from service_chassis.clock import ManualClock
from service_chassis.correlation import Correlation
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import BATCH_LIMIT, Event, Outgoing, decoded, encoded, received
from service_chassis.service import Service
from service_chassis.testing.conformance.backbone import delivered, delivered_batch
from service_chassis.testing.plugin import only_postgresql
from service_chassis.testing.waiting import wait_until
from user_service.model.errors import InvalidRefreshToken
from user_service.model.session import Session
from user_service.model.user import Role, User
from user_service.usecases import lifecycle, sign_in
from user_service.usecases.cleanup import apply_deactivations
from user_service.usecases.importing import import_users

Published = Callable[[type[Contract]], list[Event]]
Deliver = Callable[..., None]
HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)
RUN = uuid7()


class Cleanup:
    """Asks as a run of cleanup-service does, whose plan was made a minute ago."""

    def __init__(self, clock: ManualClock, deliver: Deliver) -> None:
        self._clock = clock
        self._deliver = deliver
        self.cutoff = clock.now() - MONTH

    def asks(self, *users: User | UUID, run: UUID = RUN, exempt: tuple[str, ...] = ("admin",)) -> None:
        self._deliver(delivered_batch(self._clock, *(self.request(user, run, exempt) for user in users)))

    def asks_in_single_messages(self, requests: Iterable[DeactivationRequested]) -> None:
        self._deliver(*delivered(self._clock, *requests))

    def request(
        self, user: User | UUID, run: UUID = RUN, exempt: tuple[str, ...] = ("admin",)
    ) -> DeactivationRequested:
        return DeactivationRequested(
            user_id=user if isinstance(user, UUID) else user.id,
            run_id=run,
            cutoff=self.cutoff,
            exempt_roles=exempt,  # type: ignore[arg-type]
            requested_at=self._clock.now(),
        )


@pytest.fixture
def sleepers(new_user: Callable[..., User], clock: ManualClock) -> dict[str, User]:
    """People who were last seen more than a month ago: an admin besides the demo's, a manager and two users."""
    roles = {"olga": Role.ADMIN, "mia": Role.MANAGER, "anna": Role.USER, "bert": Role.USER}
    people = {name: new_user(name, role) for name, role in roles.items()}
    clock.advance(MONTH + HOUR)
    return people


@pytest.fixture
def cleanup(sleepers: dict[str, User], clock: ManualClock, deliver: Deliver) -> Cleanup:
    return Cleanup(clock, deliver)


def refusals(published: Published) -> dict[UUID, str]:
    events = [event.data for event in published(UserDeactivationRefused)]
    assert len(events) == len({(event.user_id, event.run_id) for event in events})
    return {event.user_id: event.reason for event in events}


def admins(service: Service) -> list[str]:
    with service.units.read() as uow:
        active = select(User.email).where(User.role == Role.ADMIN, User.status == "active")
        return list(uow.session.scalars(active.order_by(User.number)))


def test_who_is_still_inactive_is_switched_off_and_told_of(
    cleanup: Cleanup,
    sleepers: dict[str, User],
    clock: ManualClock,
    state_of: Callable[[User], User],
    published: Published,
) -> None:
    """S0-04."""
    anna, mia = sleepers["anna"], sleepers["mia"]

    cleanup.asks(anna, mia)

    for user in (anna, mia):
        now = state_of(user)
        assert (now.is_active, now.deactivated_at, now.deactivation_reason) == (False, clock.now(), "inactivity")
        assert (now.deactivated_by_run, now.last_activity_at, now.version) == (RUN, user.last_activity_at, 2)
    events = published(UserDeactivated)
    assert {event.data.user_id for event in events} == {anna.id, mia.id}
    for event in events:
        now = state_of(anna if event.data.user_id == anna.id else mia)
        assert (event.version, event.data.number, event.data.role) == (now.version, now.number, now.role)
        assert (event.data.status, event.data.deactivated_at) == (now.status, now.deactivated_at)
        assert (event.data.run_id, event.data.actor_id) == (RUN, None)
    assert refusals(published) == {}


def test_an_answer_names_the_request_it_answers(
    cleanup: Cleanup, sleepers: dict[str, User], deliver: Deliver, clock: ManualClock, published: Published
) -> None:
    requests = delivered(clock, *(cleanup.request(user) for user in (sleepers["anna"], sleepers["olga"])))

    deliver(*requests)

    answers = published(UserDeactivated) + published(UserDeactivationRefused)
    assert [answer.causation_id for answer in answers] == [request.message_id for request in requests]


def test_whoever_must_be_left_alone_is_refused_with_the_reason(
    cleanup: Cleanup,
    sleepers: dict[str, User],
    service: Service,
    state_of: Callable[[User], User],
    published: Published,
) -> None:
    nobody = uuid7()
    service.parts.sign_in(sleepers["anna"].email, "correct horse")
    with service.units.write() as uow:
        lifecycle.deactivate(uow, sleepers["bert"].id, "", by=sleepers["olga"].id, tokens_live=HOUR)
    before = {name: state_of(user).version for name, user in sleepers.items()}

    cleanup.asks(
        sleepers["anna"], sleepers["bert"], sleepers["olga"], sleepers["mia"], nobody, exempt=("admin", "manager")
    )

    assert refusals(published) == {
        sleepers["anna"].id: "active_since_plan",
        sleepers["bert"].id: "already_inactive",
        sleepers["olga"].id: "exempt_role",
        sleepers["mia"].id: "exempt_role",
        nobody: "unknown_user",
    }
    assert {name: state_of(user).version for name, user in sleepers.items()} == before
    assert len(published(UserDeactivated)) == 1


def test_activity_at_the_cutoff_is_activity(
    cleanup: Cleanup, sleepers: dict[str, User], published: Published, clock: ManualClock
) -> None:
    cleanup.cutoff = sleepers["anna"].last_activity_at
    cleanup.asks(sleepers["anna"])
    cleanup.cutoff += timedelta(microseconds=1)
    cleanup.asks(sleepers["bert"])

    assert refusals(published) == {sleepers["anna"].id: "active_since_plan"}
    assert [event.data.user_id for event in published(UserDeactivated)] == [sleepers["bert"].id]


def test_a_request_that_comes_again_is_answered_once_more_and_does_nothing(
    cleanup: Cleanup,
    sleepers: dict[str, User],
    clock: ManualClock,
    state_of: Callable[[User], User],
    published: Published,
) -> None:
    anna = sleepers["anna"]
    cleanup.asks(anna)
    first = state_of(anna)
    clock.advance(timedelta(minutes=15))

    cleanup.asks(anna)

    answers = published(UserDeactivated)
    assert [answer.version for answer in answers] == [2, 2]
    assert answers[0].data == answers[1].data
    assert (state_of(anna).version, state_of(anna).deactivated_at) == (2, first.deactivated_at)


def test_a_message_that_comes_again_is_not_even_answered(
    cleanup: Cleanup, sleepers: dict[str, User], deliver: Deliver, clock: ManualClock, published: Published
) -> None:
    batch = delivered_batch(clock, cleanup.request(sleepers["anna"]), cleanup.request(sleepers["olga"]))

    deliver(batch)
    deliver(batch)

    assert (len(published(UserDeactivated)), len(published(UserDeactivationRefused))) == (1, 1)


def test_two_runs_that_ask_for_one_user_at_once_both_get_an_answer(
    cleanup: Cleanup, sleepers: dict[str, User], state_of: Callable[[User], User], published: Published
) -> None:
    anna, another = sleepers["anna"], uuid7()

    cleanup.asks_in_single_messages([cleanup.request(anna), cleanup.request(anna, another), cleanup.request(anna)])

    assert [event.data.run_id for event in published(UserDeactivated)] == [RUN]
    assert [(e.data.run_id, e.data.reason) for e in published(UserDeactivationRefused)] == [
        (another, "already_inactive")
    ]
    assert (state_of(anna).deactivated_by_run, state_of(anna).version) == (RUN, 2)


def test_the_last_admin_is_left_alone_also_when_all_admins_are_in_one_batch(
    cleanup: Cleanup, sleepers: dict[str, User], service: Service, published: Published
) -> None:
    with service.units.read() as uow:
        pair = [uow.users.by_email("admin@example.com"), sleepers["olga"]]

    cleanup.asks(*pair, exempt=())

    (last,) = admins(service)
    assert refusals(published) == {user.id: "last_admin" for user in pair if user.email == last}
    assert [event.data.user_id for event in published(UserDeactivated)] == [u.id for u in pair if u.email != last]


def test_sessions_end_with_the_deactivation(
    cleanup: Cleanup, sleepers: dict[str, User], service: Service, clock: ManualClock
) -> None:
    for name in ("anna", "anna", "mia"):
        service.parts.sign_in(sleepers[name].email, "correct horse")
    clock.advance(HOUR)
    cleanup.cutoff = clock.now()

    cleanup.asks(sleepers["anna"])

    with service.units.read() as uow:
        sessions = list(uow.session.scalars(select(Session)))
        revoked = {session_id for session_id, _ in uow.sessions.revocations(None, clock.now())}
    ended = {session.id for session in sessions if session.user_id == sleepers["anna"].id}
    assert len(ended) == 2
    assert {session.id for session in sessions if session.ended_at == clock.now()} == revoked == ended


def test_the_history_names_the_run_once(
    cleanup: Cleanup, sleepers: dict[str, User], service: Service, clock: ManualClock
) -> None:
    with correlation.correlated(Correlation("run-7")):
        cleanup.asks(sleepers["anna"])
        cleanup.asks(sleepers["anna"])

    with service.units.read() as uow:
        entry, registration = uow.users.whole_history(sleepers["anna"].id)
    assert (entry.action, entry.reason, entry.actor) == ("user_deactivated", "inactivity", f"cleanup-run:{RUN}")
    assert (entry.at, entry.correlation_id) == (clock.now(), "run-7")
    assert registration.action == "user_registered"


def test_many_are_told_of_in_batches_one_event_each(
    cleanup: Cleanup, service: Service, tmp_path: Any, published: Published
) -> None:
    file = tmp_path / "users.csv"
    file.write_text("email,created_at\n" + "".join(f"user{n}@example.com,2029-01-01\n" for n in range(450)), "utf-8")
    import_users(service.units, file, tmp_path / "rejects.csv")
    with service.units.read() as uow:
        ids = list(uow.session.scalars(select(User.id).where(User.email.like("user%"))))
    asked = [ids[start : start + BATCH_LIMIT] for start in range(0, len(ids), BATCH_LIMIT)]

    cleanup.asks_in_single_messages(cleanup.request(id_) for id_ in asked[0])
    for batch in asked[1:]:
        cleanup.asks(*batch)

    assert sorted(event.data.user_id for event in published(UserDeactivated)) == sorted(ids)
    assert deactivated(service) == len(ids)


def deactivated(service: Service) -> int:
    with service.units.read() as uow:
        return len(list(uow.session.scalars(select(User.id).where(User.status == "deactivated"))))


@only_postgresql
def test_a_refresh_in_flight_is_waited_for_and_counts(
    cleanup: Cleanup, sleepers: dict[str, User], service: Service, published: Published, blocked: Callable[[], bool]
) -> None:
    anna = sleepers["anna"]
    token = long_ago(service, anna, cleanup.cutoff - HOUR)
    asking = threading.Thread(target=lambda: cleanup.asks(anna))

    with service.units.write() as uow:
        sign_in.refresh(uow, token, service.parts.tokens)
        asking.start()
        wait_until(blocked)
    asking.join(10)

    assert refusals(published) == {anna.id: "active_since_plan"}


@only_postgresql
def test_a_refresh_that_has_to_wait_for_a_deactivation_comes_too_late(
    cleanup: Cleanup, sleepers: dict[str, User], service: Service, clock: ManualClock, blocked: Callable[[], bool]
) -> None:
    anna = sleepers["anna"]
    token = long_ago(service, anna, cleanup.cutoff - HOUR)
    outcomes: list[Any] = []

    def refresh() -> None:
        try:
            with service.units.write() as uow:
                outcomes.append(sign_in.refresh(uow, token, service.parts.tokens))
        except InvalidRefreshToken as error:
            outcomes.append(error.code)

    refreshing = threading.Thread(target=refresh)
    with service.units.write() as uow:
        uow.users.locked(anna.id)
        refreshing.start()
        wait_until(blocked)
        apply_deactivations(uow, [as_event(cleanup.request(anna), clock)], tokens_live=HOUR)
    refreshing.join(10)

    assert outcomes == ["invalid_refresh_token"]


def long_ago(service: Service, user: User, instant: datetime) -> str:
    """Let a user have signed in long ago; return the refresh token, which still is good."""
    tokens = service.parts.sign_in(user.email, "correct horse")
    with service.units.write() as uow:
        uow.users.get(user.id).last_activity_at = instant
    return str(tokens.refresh_token)


def as_event(request: DeactivationRequested, clock: ManualClock) -> Event:
    message = encoded(Outgoing(request), clock.now())
    (envelope,) = decoded(message.content_type, message.body.encode())
    return received(envelope, DeactivationRequested)
