"""Leases, claims and outcomes, as dispatchers on one database meet them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from delivery_service.model.delivery import DeliveryState
from delivery_service.model.destination import Reason
from delivery_service.persistence.leases import LeaseRepository
from delivery_service.persistence.outcomes import Claimed, Outcome, OutcomeRepository
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7

LEASE = timedelta(seconds=10)


class Owner:
    """A dispatcher by name."""

    def __init__(self, depot: Any, name: str) -> None:
        self._depot = depot
        self.name = name
        self.fences: dict[UUID, int] = {}

    def finds(self) -> list[UUID]:
        with self._depot.units.read() as uow:
            return LeaseRepository(uow.session).with_work(self.name, uow.now, most=100)

    def takes(self, destination_id: UUID) -> bool:
        with self._depot.units.write() as uow:
            taken = LeaseRepository(uow.session).take([destination_id], self.name, uow.now, uow.now + LEASE)
        self.fences |= taken
        return destination_id in taken

    def renews(self) -> set[UUID]:
        with self._depot.units.write() as uow:
            return LeaseRepository(uow.session).renew(self.fences, self.name, uow.now + LEASE)

    def releases(self) -> None:
        with self._depot.units.write() as uow:
            LeaseRepository(uow.session).release(self.fences, self.name, uow.now)

    def claims(self, destination_id: UUID, most: int = 10) -> list[Claimed]:
        with self._depot.units.write() as uow:
            repository = OutcomeRepository(uow.session)
            (destination,) = repository.destinations([destination_id])
            return repository.claim(destination, uow.now, most=most)

    def records(
        self, destination_id: UUID, delivery_id: UUID, state: DeliveryState, due: datetime | None = None
    ) -> bool:
        with self._depot.units.write() as uow:
            outcome = Outcome(
                delivery_id,
                destination_id,
                self.fences[destination_id],
                state,
                due,
                uow.now,
                attempt_row(delivery_id, uow.now),
            )
            return delivery_id in OutcomeRepository(uow.session).record([outcome])


def attempt_row(delivery_id: UUID, at: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "delivery_id": delivery_id,
        "number": 1,
        "began_at": at,
        "url": "https://example.com/",
        "request_headers": {"webhook-id": "1"},
        "status": 200,
        "error": None,
        "detail": "",
        "answer": "ok",
        "queue_seconds": 0.1,
        "connect_seconds": 0.1,
        "first_byte_seconds": 0.2,
        "total_seconds": 0.3,
    }


@pytest.fixture
def anna(depot: Any) -> Owner:
    return Owner(depot, "anna")


@pytest.fixture
def bert(depot: Any) -> Owner:
    return Owner(depot, "bert")


def test_a_destination_has_one_owner_until_its_lease_ends(
    depot: Any, anna: Owner, bert: Owner, clock: ManualClock
) -> None:
    destination = depot.destination()
    depot.puts_in(destination)
    assert anna.finds() == bert.finds() == [destination]

    assert anna.takes(destination)

    assert (bert.finds(), bert.takes(destination)) == ([], False)
    clock.advance(LEASE / 2)
    assert anna.renews() == {destination}
    clock.advance(LEASE / 2)
    assert not bert.takes(destination)
    clock.advance(LEASE / 2)
    assert bert.takes(destination)
    assert bert.fences[destination] == anna.fences[destination] + 1
    assert anna.renews() == set()


def test_an_owner_that_comes_back_after_its_lease_was_taken_over_and_ended_renews_nothing(
    depot: Any, anna: Owner, bert: Owner, clock: ManualClock
) -> None:
    destination = depot.destination()
    anna.takes(destination)
    clock.advance(LEASE)
    bert.takes(destination)
    clock.advance(LEASE)
    old = dict(anna.fences)
    anna.takes(destination)
    assert anna.fences != old

    anna.fences = old

    assert anna.renews() == set()


def test_only_what_is_due_at_enabled_destinations_is_work(depot: Any, anna: Owner, clock: ManualClock) -> None:
    enabled, _, paused, disabled, deleted = (depot.destination() for _ in range(5))
    for destination in (enabled, paused, disabled, deleted):
        depot.puts_in(destination)
    depot.changes(paused, lambda destination, at: destination.pause(at=at))
    depot.changes(disabled, lambda destination, at: destination.disable(Reason.BY_HAND, at=at))
    depot.changes(deleted, lambda destination, at: destination.delete(at=at))

    assert anna.finds() == [enabled]
    clock.advance(timedelta(seconds=-1))
    assert anna.finds() == []


def test_claims_come_in_order_and_once(depot: Any, anna: Owner) -> None:
    destination = depot.destination()
    deliveries = depot.puts_in(destination, 5)
    anna.takes(destination)

    assert [claimed.id for claimed in anna.claims(destination, 3)] == deliveries[:3]
    assert [claimed.id for claimed in anna.claims(destination, 3)] == deliveries[3:]
    assert anna.claims(destination) == []
    assert depot.states(deliveries) == ["sending"] * 5
    assert anna.finds() == []


def test_a_claim_brings_the_bytes_as_they_came(depot: Any, anna: Owner) -> None:
    destination = depot.destination()
    depot.puts_in(destination)
    anna.takes(destination)

    (claimed,) = anna.claims(destination)

    assert (claimed.payload, claimed.attempts, claimed.tries) == (b'{"number": 0}', 0, 0)


def test_where_order_is_kept_the_head_holds_up_the_others(depot: Any, anna: Owner, clock: ManualClock) -> None:
    destination = depot.destination(ordered=True)
    first, *others = depot.puts_in(destination, 3)
    anna.takes(destination)
    assert [claimed.id for claimed in anna.claims(destination, 1)] == [first]
    assert anna.claims(destination) == []
    anna.records(destination, first, DeliveryState.RETRYING, clock.now() + timedelta(seconds=5))

    assert anna.claims(destination) == []
    clock.advance(timedelta(seconds=5))

    assert [claimed.id for claimed in anna.claims(destination)] == [first, *others]


def test_what_an_owner_was_sending_when_it_died_is_sent_by_the_next(
    depot: Any, anna: Owner, bert: Owner, clock: ManualClock
) -> None:
    destination = depot.destination()
    deliveries = depot.puts_in(destination, 2)
    anna.takes(destination)
    anna.claims(destination)
    clock.advance(LEASE)
    assert bert.finds() == [destination]

    bert.takes(destination)

    assert depot.states(deliveries) == ["pending", "pending"]
    assert [claimed.id for claimed in bert.claims(destination)] == deliveries


def test_an_owner_that_stops_leaves_everything_to_others_at_once(depot: Any, anna: Owner, bert: Owner) -> None:
    destination = depot.destination()
    deliveries = depot.puts_in(destination, 2)
    anna.takes(destination)
    anna.claims(destination)

    anna.releases()

    assert depot.states(deliveries) == ["pending", "pending"]
    assert bert.takes(destination)


def test_an_outcome_is_recorded_with_its_attempt(depot: Any, anna: Owner, clock: ManualClock) -> None:
    destination = depot.destination()
    (delivery_id,) = depot.puts_in(destination)
    anna.takes(destination)
    anna.claims(destination)

    anna.records(destination, delivery_id, DeliveryState.SUCCEEDED)

    delivery = depot.delivery(delivery_id)
    assert (delivery.state, delivery.due_at, delivery.attempts, delivery.tries) == ("succeeded", None, 1, 1)
    assert (delivery.processed_at, delivery.last_status) == (clock.now(), 200)
    (attempt,) = depot.attempts()
    assert (attempt.delivery_id, attempt.request_headers, attempt.answer) == (delivery_id, {"webhook-id": "1"}, "ok")


def test_a_success_that_comes_late_is_a_fact_and_a_failure_that_comes_late_is_only_logged(
    depot: Any, anna: Owner, bert: Owner, clock: ManualClock
) -> None:
    """An attempt that was made and not taken into account would reach the customer again and again."""
    destination = depot.destination()
    succeeded, failed = depot.puts_in(destination, 2)
    anna.takes(destination)
    anna.claims(destination)
    clock.advance(LEASE)
    bert.takes(destination)

    assert anna.records(destination, succeeded, DeliveryState.SUCCEEDED)
    assert not anna.records(destination, failed, DeliveryState.FAILED)

    assert depot.states([succeeded, failed]) == ["succeeded", "pending"]
    assert len(depot.attempts()) == 2


def test_what_was_given_up_or_has_arrived_stays_so(depot: Any, anna: Owner) -> None:
    destination = depot.destination()
    (delivery_id,) = depot.puts_in(destination)
    anna.takes(destination)
    anna.records(destination, delivery_id, DeliveryState.SUCCEEDED)

    assert not anna.records(destination, delivery_id, DeliveryState.FAILED)

    assert depot.states([delivery_id]) == ["succeeded"]
    assert len(depot.attempts()) == 2
