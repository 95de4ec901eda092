import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_chassis import correlation
from service_chassis.correlation import Correlation
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import (
    BATCH,
    SINGLE,
    Event,
    NewMessage,
    Outgoing,
    batched,
    decoded,
    encoded,
    encoded_batch,
    received,
    single,
)
from service_chassis.messaging.incoming import NotSubscribed, Unreadable, read
from service_chassis.messaging.subscriptions import Subscriptions, on
from service_chassis.testing.conformance.sample import CATALOGUE, Deposited, Opened, apply

NOW = datetime(2030, 1, 15, 12, 30, 15, 123456, tzinfo=UTC)
deposits = st.builds(Deposited, st.text(), st.integers(-(2**63), 2**63 - 1))


def on_the_wire(message: NewMessage) -> dict[str, object]:
    return json.loads(message.body)


def events_of(message: NewMessage, contract: type = Deposited) -> list[Event]:
    return [received(envelope, contract) for envelope in decoded(message.content_type, message.body.encode())]


class TestEncoding:
    @given(deposits, st.none() | st.integers(0, 2**63 - 1))
    def test_an_event_comes_out_as_it_went_in(self, deposit: Deposited, version: int | None) -> None:
        message = encoded(Outgoing(deposit, version=version), NOW)

        (event,) = events_of(message)

        assert (event.data, event.version) == (deposit, version)
        assert (event.type, event.source, event.subject) == (Deposited.type, Deposited.source, deposit.account)
        assert (event.id, event.time) == (message.id, NOW)

    @given(st.lists(deposits, min_size=1, max_size=20))
    def test_a_batch_comes_out_as_it_went_in(self, many: list[Deposited]) -> None:
        message = encoded_batch([Outgoing(deposit) for deposit in many], NOW)

        events = events_of(message)

        assert [event.data for event in events] == many
        assert message.id not in {event.id for event in events}
        assert len({event.id for event in events}) == message.events == len(many)

    def test_a_message_is_a_cloudevent_in_structured_json(self) -> None:
        with correlation.correlated(Correlation("request-7", "cause-3", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")):
            message = encoded(Outgoing(Deposited("anna", 5), version=4), NOW)

        assert message.content_type == SINGLE == "application/cloudevents+json"
        assert on_the_wire(message) == {
            "specversion": "1.0",
            "id": str(message.id),
            "source": "/sample-service",
            "type": "sample.deposited.v1",
            "subject": "anna",
            "time": "2030-01-15T12:30:15.123456Z",
            "datacontenttype": "application/json",
            "dataschema": "/contracts/sample.deposited.v1",
            "data": {"account": "anna", "amount": 5},
            "correlationid": "request-7",
            "causationid": "cause-3",
            "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
            "aggregateversion": 4,
        }

    def test_what_is_not_known_is_left_out(self) -> None:
        with correlation.correlated(Correlation("request-7")):
            message = encoded(Outgoing(Deposited("anna")), NOW)

        assert {"causationid", "traceparent", "aggregateversion"}.isdisjoint(on_the_wire(message))

    def test_a_message_is_labelled_with_what_routing_needs(self) -> None:
        message = encoded_batch([Outgoing(Deposited("anna")), Outgoing(Deposited("bert"))], NOW)

        assert (message.exchange, message.routing_key, message.source) == (
            "sample.events",
            "sample.deposited.v1",
            "/sample-service",
        )
        assert (message.content_type, message.events) == ("application/cloudevents-batch+json", 2)

    def test_work_that_nothing_outside_caused_starts_a_correlation(self) -> None:
        message = encoded(Outgoing(Deposited("anna")), NOW)

        assert UUID(message.correlation_id).version == 7
        assert correlation.ACCEPTED_TRACEPARENT.match(str(on_the_wire(message)["traceparent"]))

    def test_a_named_cause_counts_more_than_the_work_in_hand(self) -> None:
        (cause,) = events_of(encoded(Outgoing(Deposited("anna")), NOW))

        with correlation.correlated(Correlation("request-7")):
            (effect,) = events_of(encoded(Outgoing(Opened("anna"), cause=cause), NOW), Opened)

        assert (effect.correlation_id, effect.causation_id) == (cause.correlation_id, str(cause.id))

    @given(st.lists(st.sampled_from([Deposited("anna"), Opened("bert")])), st.integers(1, 5))
    def test_batches_hold_one_type_each_in_order_and_no_more_than_allowed(
        self, events: list[Deposited | Opened], limit: int
    ) -> None:
        outgoing = [Outgoing(event) for event in events]

        batches = list(batched(outgoing, limit))

        assert list(chain.from_iterable(batches)) == outgoing
        assert all(len(batch) <= limit for batch in batches)
        assert all(len({item.data.type for item in batch}) == 1 for batch in batches)

    def test_an_event_of_a_batch_can_stand_alone(self) -> None:
        message = encoded_batch([Outgoing(Deposited("anna")), Outgoing(Deposited("bert"))], NOW)

        (_, bert) = decoded(BATCH, message.body.encode())
        (alone,) = decoded(SINGLE, single(bert))

        assert received(alone, Deposited) == received(bert, Deposited)


class TestDecoding:
    def test_fields_nobody_knows_are_passed_over(self) -> None:
        body = on_the_wire(encoded(Outgoing(Deposited("anna")), NOW))
        body |= {"data": {"account": "anna", "amount": 1, "colour": "red"}, "anextension": 7}

        (envelope,) = decoded(SINGLE, msgspec.json.encode(body))

        assert received(envelope, Deposited).data == Deposited("anna")

    @pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject", "time", "data"])
    def test_what_is_missing_is_an_error(self, name: str) -> None:
        body = on_the_wire(encoded(Outgoing(Deposited("anna")), NOW))
        del body[name]

        with pytest.raises(msgspec.DecodeError, match=name):
            decoded(SINGLE, msgspec.json.encode(body))

    def test_times_of_other_zones_mean_the_same_instant(self) -> None:
        body = on_the_wire(encoded(Outgoing(Deposited("anna")), NOW))
        body["time"] = "2030-01-15T14:30:15.123456+02:00"

        (envelope,) = decoded(SINGLE, msgspec.json.encode(body))

        assert received(envelope, Deposited).time - NOW == timedelta(0)

    @given(st.binary(), st.sampled_from([SINGLE, BATCH, "text/plain", ""]), st.text())
    def test_whatever_arrives_is_read_or_refused(self, body: bytes, content_type: str, message_id: str) -> None:
        delivery = Delivery(0, message_id, Deposited.exchange, Deposited.type, content_type, body)

        with pytest.raises(Unreadable) as refused:
            read(delivery, Subscriptions([on(Deposited, apply)], CATALOGUE))

        assert refused.value.reason

    @given(st.data())
    def test_a_message_damaged_anywhere_is_read_or_refused(self, data: st.DataObject) -> None:
        good = encoded(Outgoing(Deposited("anna")), NOW).body.encode()
        at = data.draw(st.integers(0, len(good) - 1))
        body = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
        delivery = Delivery(0, "", Deposited.exchange, Deposited.type, SINGLE, body)

        with suppress(Unreadable, NotSubscribed):
            incoming = read(delivery, Subscriptions([on(Deposited, apply)], CATALOGUE))
            assert incoming.events[0].id == incoming.inbox_id
