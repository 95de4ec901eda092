"""How a consumer takes in many events at once."""

from contextlib import suppress

import pytest

from service_chassis.messaging.envelope import Event
from service_chassis.messaging.subscriptions import Drop, Subscription, on, on_batch
from service_chassis.testing.conformance.backbone import Backbone, delivered, delivered_batch
from service_chassis.testing.conformance.sample import (
    Crash,
    Deposited,
    Opened,
    apply,
    apply_all,
    apply_all_unless_poison,
    apply_unless_poison,
)
from service_chassis.unit_of_work import UnitOfWork


class BatchConformance:
    """Many events at once: one call, one transaction, and no more harm from a bad one than it has to do."""

    def test_a_batch_handler_gets_a_batch_whole(self, backbone: Backbone) -> None:
        calls = []

        def note(events: list[Event], uow: UnitOfWork) -> None:
            calls.append([event.subject for event in events])
            apply_all(events, uow)

        consumer = backbone.consumer(on_batch(Deposited, note))
        backbone.publish_batch(*map(Deposited, ("anna", "bert", "carla")))
        backbone.relay()

        backbone.consume(consumer, 1)

        assert calls == [["anna", "bert", "carla"]]
        assert backbone.effects() == ["anna", "bert", "carla"]

    def test_a_batch_handler_gets_all_messages_that_were_taken_together(self, backbone: Backbone) -> None:
        calls = []
        consumer = backbone.consumer(on_batch(Deposited, lambda events, _: calls.append(len(events))))
        batch = delivered_batch(backbone.clock, Deposited("anna"), Deposited("bert"))

        consumer.handle([*delivered(backbone.clock, Deposited("carla"), Deposited("dora")), batch])

        assert calls == [4]

    def test_a_plain_handler_is_called_for_each_event_of_a_batch(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))

        consumer.handle([delivered_batch(backbone.clock, Deposited("anna"), Deposited("bert"))])

        assert backbone.effects() == ["anna", "bert"]

    def test_a_batch_that_comes_again_has_no_second_effect(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on_batch(Deposited, apply_all))
        batch = delivered_batch(backbone.clock, Deposited("anna"), Deposited("bert"))

        consumer.handle([batch])
        consumer.handle([batch, batch])

        assert backbone.effects() == ["anna", "bert"]

    @pytest.mark.parametrize(
        "subscription", [on(Deposited, apply_unless_poison), on_batch(Deposited, apply_all_unless_poison)]
    )
    def test_one_bad_event_of_a_batch_fails_alone(self, backbone: Backbone, subscription: Subscription) -> None:
        consumer = backbone.consumer(subscription)
        events = [Deposited(name) for name in ("anna", "poison", "bert", "carla")]

        consumer.handle([delivered_batch(backbone.clock, *events)])

        assert backbone.effects() == ["anna", "bert", "carla"]
        assert [row.subject for row in backbone.failed()] == ["poison"]

    def test_one_bad_message_of_many_fails_alone(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison), on(Opened, apply))
        good = delivered(backbone.clock, Deposited("anna"), Opened("bert"), Deposited("carla"))

        consumer.handle(delivered(backbone.clock, Deposited("poison")) + good)

        assert backbone.effects() == ["anna", "bert", "carla"]
        assert [row.subject for row in backbone.failed()] == ["poison"]

    def test_the_bad_event_of_a_batch_of_one_can_be_tried_again(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        consumer.handle([delivered_batch(backbone.clock, Deposited("poison"))])

        mended = backbone.consumer(on(Deposited, apply))
        backbone.retry(mended, after=60)

        assert backbone.effects() == ["poison"]
        assert backbone.failed() == backbone.dead() == []

    def test_a_process_that_ends_while_it_goes_through_a_split_batch_leaves_no_event_out(
        self, backbone: Backbone
    ) -> None:
        def crash_at_last(event: Event, uow: UnitOfWork) -> None:
            apply_unless_poison(event, uow)
            if event.subject == "carla":
                raise Crash

        events = [Deposited(name) for name in ("anna", "poison", "bert", "carla", "dora")]
        batch = delivered_batch(backbone.clock, *events)
        with suppress(Crash):
            backbone.consumer(on(Deposited, crash_at_last)).handle([batch])
        assert backbone.effects() == ["anna", "bert"]

        backbone.consumer(on(Deposited, apply_unless_poison)).handle([batch])

        assert backbone.effects() == ["anna", "bert", "carla", "dora"]
        assert [row.subject for row in backbone.failed()] == ["poison"]

    def test_a_dropped_batch_is_dropped_event_by_event(self, backbone: Backbone) -> None:
        def drop_bert(events: list[Event], uow: UnitOfWork) -> None:
            apply_all(events, uow)
            if any(event.subject == "bert" for event in events):
                raise Drop("not bert")

        consumer = backbone.consumer(on_batch(Deposited, drop_bert))

        consumer.handle([delivered_batch(backbone.clock, Deposited("anna"), Deposited("bert"))])

        assert backbone.effects() == ["anna"]
        assert backbone.failed() == backbone.dead() == []
