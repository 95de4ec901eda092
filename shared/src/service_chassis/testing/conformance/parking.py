"""What becomes of messages that no handler can take: parked at once, with the reason, and in nobody's way."""

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, dictionaries, integers, just, sampled_from, text

from service_chassis.messaging import failures
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import BATCH, SINGLE, Event
from service_chassis.messaging.failures import Filter
from service_chassis.messaging.subscriptions import on
from service_chassis.testing.conformance.backbone import Backbone, delivered, delivered_batch, redrive
from service_chassis.testing.conformance.sample import Deposited, Opened, apply, apply_unless_poison


class ParkedConformance:
    """Parking, and what a redrive makes of it."""

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            ({"routing_key": "sample.vanished.v1", "body": ("deposited", "vanished")}, "unknown_type"),
            ({"routing_key": "sample.deposited.v2", "body": ("deposited.v1", "deposited.v2")}, "unknown_type"),
            ({"body": ("/sample-service", "/other-service")}, "foreign_source"),
            ({"exchange": "other.events"}, "foreign_source"),
            ({"body": ('"amount":1', '"amount":"much"')}, "invalid_data"),
            ({"body": (b'"account":"bad"', b'"account":"\xff"')}, "invalid_data"),
            ({"body": ('"time":"2030-01-15T12:00:00Z"', '"time":"2030-01-15T12:00:00"')}, "undecodable"),
            ({"body": b"\x00\xff\xfe no text"}, "undecodable"),
            ({"body": b"no JSON"}, "undecodable"),
            ({"body": b"{}"}, "undecodable"),
            ({"body": b"[" * 100_000}, "undecodable"),
            ({"content_type": "text/plain"}, "unknown_content_type"),
            ({"content_type": "", "message_id": ""}, "unknown_content_type"),
            ({"content_type": BATCH}, "undecodable"),
            ({"content_type": BATCH, "body": b"[]"}, "empty_batch"),
            ({"message_id": "nul \0", "routing_key": "half a surrogate \ud800", "body": b"?"}, "undecodable"),
        ],
    )
    def test_what_cannot_be_read_is_parked_with_its_reason(
        self, backbone: Backbone, broken: dict[str, Any], reason: str
    ) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        bad, good = delivered(backbone.clock, Deposited("bad"), Deposited("good"))

        consumer.handle([broken_as(bad, broken), good])

        assert backbone.effects() == ["good"]
        (row,) = backbone.dead()
        assert row.reason == reason
        assert row.error
        assert backbone.counted("parked") == 1

    @settings(
        max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
    )
    @given(
        body=binary() | binary(max_size=4).map(lambda end: b'{"specversion":"1.0","id":"' + end),
        message_id=text(max_size=3_000),
        routing_key=text(max_size=255) | just(Deposited.type),
        exchange=text(max_size=255) | just(Deposited.exchange),
        content_type=text(max_size=255) | sampled_from([SINGLE, BATCH]),
        headers=dictionaries(text(max_size=20), text() | integers() | binary(), max_size=3),
    )
    def test_no_message_whatever_it_holds_is_in_the_way_of_the_next(self, backbone: Backbone, **broken: Any) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        before = len(backbone.effects())
        bad, good = delivered(backbone.clock, Deposited("bad"), Deposited("good"))

        consumer.handle([dataclasses.replace(bad, **broken), good])

        assert backbone.effects().count("bad") == 0
        assert len(backbone.effects()) == before + 1

    def test_a_batch_of_two_types_is_parked(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        first, second = delivered(backbone.clock, Deposited("anna"), Opened("anna"))
        body = b"[" + first.body + b"," + second.body + b"]"

        consumer.handle([dataclasses.replace(first, content_type=BATCH, body=body)])

        assert [row.reason for row in backbone.dead()] == ["mixed_batch"]

    def test_a_batch_without_an_id_of_its_own_is_parked(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        batch = delivered_batch(backbone.clock, Deposited("anna"))

        consumer.handle([dataclasses.replace(batch, message_id="batch-1")])

        assert [row.reason for row in backbone.dead()] == ["no_batch_id"]

    def test_data_that_is_broken_where_nobody_reads_it_is_no_reason_to_stop(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        (delivery,) = delivered(backbone.clock, Deposited("poison"))
        body = delivery.body.replace(b'"amount":1', b'"amount":1,"comment":"\xff"')

        consumer.handle([dataclasses.replace(delivery, body=body)])
        backbone.retry(backbone.consumer(on(Deposited, apply)), after=10)

        assert backbone.effects() == ["poison"]
        assert backbone.failed() == backbone.dead() == []

    def test_the_same_broken_message_twice_is_parked_once_and_two_with_one_id_are_both_kept(
        self, backbone: Backbone
    ) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        (delivery,) = delivered(backbone.clock, Deposited("anna"))
        one, other = dataclasses.replace(delivery, body=b"one"), dataclasses.replace(delivery, body=b"other")
        nameless = dataclasses.replace(delivery, body=b"nameless", message_id="")

        for _ in range(2):
            consumer.handle([one, other, nameless])

        assert sorted(row.body for row in backbone.dead()) == ["nameless", "one", "other"]

    def test_a_parked_message_keeps_its_bytes_and_its_reason_through_a_redrive(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        (delivery,) = delivered(backbone.clock, Deposited("anna"))
        broken = dataclasses.replace(delivery, body=b"\xff\x00\xfe")
        consumer.handle([broken])

        redrive(backbone, Filter(reason="undecodable"))
        backbone.retry(consumer)

        (row,) = backbone.dead()
        assert row.reason == "undecodable"
        assert failures.delivery_of(row).body == b"\xff\x00\xfe"
        assert failures.delivery_of(row).content_type == SINGLE

    def test_a_parked_event_is_handled_once_its_type_is_known(self, backbone: Backbone) -> None:
        old = backbone.consumer(on(Opened, apply), catalogue=[Opened])
        old.handle(delivered(backbone.clock, Deposited("anna")))
        new = backbone.consumer(on(Deposited, apply))

        redrive(backbone, Filter(reason="unknown_type"))
        backbone.retry(new)

        assert backbone.effects() == ["anna"]
        assert backbone.failed() == backbone.dead() == []

    def test_a_parked_batch_fails_event_by_event_once_its_type_is_known(self, backbone: Backbone) -> None:
        old = backbone.consumer(on(Opened, apply), catalogue=[Opened])
        old.handle([delivered_batch(backbone.clock, *map(Deposited, ("anna", "poison", "bert")))])
        new = backbone.consumer(on(Deposited, apply_unless_poison))

        redrive(backbone, Filter())
        backbone.retry(new)

        assert backbone.effects() == ["anna", "bert"]
        assert [row.subject for row in backbone.failed()] == ["poison"]

    def test_ids_from_outside_that_are_not_well_formed_go_no_further(self, backbone: Backbone) -> None:
        seen: list[Event] = []
        consumer = backbone.consumer(on(Deposited, lambda event, _: seen.append(event)))
        (delivery,) = delivered(backbone.clock, Deposited("anna"))
        strange = b'"correlationid":"' + b"x" * 300 + b'","causationid":"a b\\n","traceparent":"00-1-2-3"'
        body = delivery.body.replace(b'"correlationid":"', strange + b',"ignored":"').replace(
            b'"traceparent":"00-', b'"ignored":"', 2
        )

        consumer.handle([dataclasses.replace(delivery, body=body)])

        (event,) = seen
        assert event.correlation_id == str(event.id)
        assert (event.causation_id, event.traceparent) == (None, None)


def broken_as(delivery: Delivery, broken: dict[str, Any]) -> Delivery:
    """Return the delivery with other parts; a pair for the body is what to replace in it by what."""
    body = broken.get("body", delivery.body)
    if isinstance(body, tuple):
        old, new = (part.encode() if isinstance(part, str) else part for part in body)
        assert old in delivery.body
        body = delivery.body.replace(old, new)
    return dataclasses.replace(delivery, **{**broken, "body": body})
