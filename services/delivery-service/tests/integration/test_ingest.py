"""What is kept of an event, and which deliveries it becomes."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from delivery_service.model.delivery import Delivery, Event
from delivery_service.model.destination import Reason
from delivery_service.model.errors import EventDiffers, PayloadInvalid
from delivery_service.model.subscription import Subscription
from delivery_service.usecases import ingest
from service_chassis.ids import uuid7


def received(depot: Any, payload: bytes, *, account_id: UUID | None = None, **more: Any) -> tuple[UUID, list[UUID]]:
    """Take in an event; return its id and the destinations it goes to."""
    with depot.units.write() as uow:
        taken = ingest.receive(uow, account_id or depot.account_id, payload, **more)
        return taken.event.id, [delivery.destination_id for delivery in taken.deliveries]


def count(depot: Any, table: type[Any]) -> int | None:
    with depot.units.read() as uow:
        return uow.session.scalar(select(func.count()).select_from(table))


def test_the_bytes_are_kept_as_they_came(depot: Any) -> None:
    payload = b'{"z": 1.0,  "a": "\\u00e4\xc3\xa4", "a": 1e2, "n": 12345678901234567890}'
    event_id, _ = received(depot, payload)

    with depot.units.read() as uow:
        assert uow.session.get_one(Event, event_id).payload == payload


def test_every_destination_of_the_account_gets_it_and_nobody_elses(depot: Any) -> None:
    """S2-18: the data go to all destinations of the account."""
    mine = [depot.destination(), depot.destination()]
    paused, disabled, deleted = (depot.destination() for _ in range(3))
    depot.changes(paused, lambda destination, at: destination.pause(at=at))
    depot.changes(disabled, lambda destination, at: destination.disable(Reason.BY_HAND, at=at))
    depot.changes(deleted, lambda destination, at: destination.delete(at=at))

    assert received(depot, b"{}")[1] == [*mine, paused, disabled]
    assert received(depot, b"{}", account_id=uuid7())[1] == []


def test_without_a_destination_it_is_kept_all_the_same(depot: Any) -> None:
    assert received(depot, b"{}")[1] == []
    assert count(depot, Event) == 1


def test_only_destinations_that_want_it_get_it(depot: Any) -> None:
    tasks = depot.destination(subscription=Subscription(["task.*"]))
    paid = depot.destination(subscription=Subscription(payload_filter={"status": "paid"}))

    assert received(depot, b'{"status": "paid"}', event_type="task.missed.v1")[1] == [tasks, paid]
    assert received(depot, b'{"status": "paid"}')[1] == [paid]
    assert received(depot, b'{"status": "open"}')[1] == []


def test_an_event_that_comes_again_is_answered_as_before_and_sent_once(depot: Any) -> None:
    depot.destination()
    first = received(depot, b'{"a": 1}', event_id="order-1")
    depot.destination()

    assert received(depot, b'{"a": 1}', event_id="order-1") == first
    assert (count(depot, Event), count(depot, Delivery)) == (1, 1)


def test_the_same_id_with_other_data_is_refused(depot: Any) -> None:
    received(depot, b'{"a": 1}', event_id="order-1")

    with pytest.raises(EventDiffers):
        received(depot, b'{"a": 1.0}', event_id="order-1")


def test_accounts_have_ids_of_their_own(depot: Any) -> None:
    first, _ = received(depot, b'{"a": 1}', event_id="order-1")
    second, _ = received(depot, b'{"a": 2}', event_id="order-1", account_id=uuid7())

    assert first != second


def test_an_event_that_comes_many_times_at_once_is_one(depot: Any) -> None:
    depot.destination()
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: received(depot, b"{}", event_id="order-1"), range(16)))

    assert len({event_id for event_id, _ in taken}) == 1
    assert all(len(destinations) == 1 for _, destinations in taken)
    assert (count(depot, Event), count(depot, Delivery)) == (1, 1)


@pytest.mark.parametrize(
    "payload",
    [b"", b"not json", b"[]", b'"text"', b"1", b"null", b'{"a": NaN}', b'{"a": Infinity}', b"{'a': 1}", b'{"a": 1',
     b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a":' * 100_000 + b"1" + b"}" * 100_000],
    ids=["empty", "no JSON", "list", "text", "number", "null", "NaN", "infinity", "quotes", "cut", "bytes", "surrogate",
         "deep"],
)  # fmt: skip
def test_what_is_no_json_object_is_refused_and_nothing_is_kept(depot: Any, payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        received(depot, payload)

    assert count(depot, Event) == 0
