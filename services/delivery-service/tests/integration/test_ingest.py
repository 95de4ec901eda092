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


def received(post: Any, payload: bytes, *, account_id: UUID | None = None, **more: Any) -> tuple[UUID, list[UUID]]:
    """Take in an event; return its id and the destinations it goes to."""
    with post.units.write() as uow:
        taken = ingest.receive(uow, account_id or post.account_id, payload, **more)
        return taken.event.id, [delivery.destination_id for delivery in taken.deliveries]


def count(post: Any, table: type[Any]) -> int | None:
    with post.units.read() as uow:
        return uow.session.scalar(select(func.count()).select_from(table))


def test_the_bytes_are_kept_as_they_came(post: Any) -> None:
    payload = b'{"z": 1.0,  "a": "\\u00e4\xc3\xa4", "a": 1e2, "n": 12345678901234567890}'
    event_id, _ = received(post, payload)

    with post.units.read() as uow:
        assert uow.session.get_one(Event, event_id).payload == payload


def test_every_destination_of_the_account_gets_it_and_nobody_elses(post: Any) -> None:
    """S2-18: the data go to all destinations of the account."""
    mine = [post.destination(), post.destination()]
    paused, disabled, deleted = (post.destination() for _ in range(3))
    post.changes(paused, lambda destination, at: destination.pause(at=at))
    post.changes(disabled, lambda destination, at: destination.disable(Reason.BY_HAND, at=at))
    post.changes(deleted, lambda destination, at: destination.delete(at=at))

    assert received(post, b"{}")[1] == [*mine, paused, disabled]
    assert received(post, b"{}", account_id=uuid7())[1] == []


def test_without_a_destination_it_is_kept_all_the_same(post: Any) -> None:
    assert received(post, b"{}")[1] == []
    assert count(post, Event) == 1


def test_only_destinations_that_want_it_get_it(post: Any) -> None:
    tasks = post.destination(subscription=Subscription(["task.*"]))
    paid = post.destination(subscription=Subscription(payload_filter={"status": "paid"}))

    assert received(post, b'{"status": "paid"}', event_type="task.missed.v1")[1] == [tasks, paid]
    assert received(post, b'{"status": "paid"}')[1] == [paid]
    assert received(post, b'{"status": "open"}')[1] == []


def test_an_event_that_comes_again_is_answered_as_before_and_sent_once(post: Any) -> None:
    post.destination()
    first = received(post, b'{"a": 1}', event_id="order-1")
    post.destination()

    assert received(post, b'{"a": 1}', event_id="order-1") == first
    assert (count(post, Event), count(post, Delivery)) == (1, 1)


def test_the_same_id_with_other_data_is_refused(post: Any) -> None:
    received(post, b'{"a": 1}', event_id="order-1")

    with pytest.raises(EventDiffers):
        received(post, b'{"a": 1.0}', event_id="order-1")


def test_accounts_have_ids_of_their_own(post: Any) -> None:
    first, _ = received(post, b'{"a": 1}', event_id="order-1")
    second, _ = received(post, b'{"a": 2}', event_id="order-1", account_id=uuid7())

    assert first != second


def test_an_event_that_comes_many_times_at_once_is_one(post: Any) -> None:
    post.destination()
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: received(post, b"{}", event_id="order-1"), range(16)))

    assert len({event_id for event_id, _ in taken}) == 1
    assert all(len(destinations) == 1 for _, destinations in taken)
    assert (count(post, Event), count(post, Delivery)) == (1, 1)


@pytest.mark.parametrize(
    "payload",
    [b"", b"not json", b"[]", b'"text"', b"1", b"null", b'{"a": NaN}', b'{"a": Infinity}', b"{'a': 1}", b'{"a": 1',
     b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a":' * 100_000 + b"1" + b"}" * 100_000],
    ids=["empty", "no JSON", "list", "text", "number", "null", "NaN", "infinity", "quotes", "cut", "bytes", "surrogate",
         "deep"],
)  # fmt: skip
def test_what_is_no_json_object_is_refused_and_nothing_is_kept(post: Any, payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        received(post, payload)

    assert count(post, Event) == 0
