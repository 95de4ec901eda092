"""How a consumer takes in what arrives: every event has its effect once, whatever happens in between."""

import threading
from contextlib import closing

import pytest

from service_chassis import correlation
from service_chassis.correlation import Correlation
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import Event, Outgoing, Received, decoded
from service_chassis.messaging.subscriptions import Drop, on, on_batch
from service_chassis.testing.conformance.backbone import Backbone, delivered
from service_chassis.testing.conformance.broker import taken
from service_chassis.testing.conformance.sample import (
    QUEUE,
    Crash,
    Deposited,
    Opened,
    Renamed,
    apply,
    apply_and_answer,
    apply_unless_poison,
)
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import UnitOfWork


class OnceConformance:
    """At-least-once on the wire is once in effect."""

    def test_an_event_has_its_effect(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))

        backbone.bring(consumer, Deposited("anna"), Deposited("bert"))

        assert backbone.effects() == ["anna", "bert"]
        assert backbone.counted("handled") == 2

    def test_the_same_message_twice_at_once_has_one_effect(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        deliveries = delivered(backbone.clock, Deposited("anna"))

        consumer.handle(deliveries + deliveries)

        assert backbone.effects() == ["anna"]

    def test_a_message_handled_but_not_acknowledged_comes_back_without_a_second_effect(
        self, backbone: Backbone
    ) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        backbone.publish(Deposited("anna"))
        backbone.relay()
        with closing(backbone.broker.subscribe(QUEUE)) as hold:
            consumer.handle(taken(hold, 1))

        backbone.consume(consumer, 1)

        assert backbone.effects() == ["anna"]
        assert backbone.counted("repeated") == 1

    def test_a_message_whose_handling_did_not_commit_comes_back_and_has_its_effect(self, backbone: Backbone) -> None:
        def crash(event: Event, uow: UnitOfWork) -> None:
            apply(event, uow)
            raise Crash

        dying = backbone.consumer(on(Deposited, crash))
        backbone.publish(Deposited("anna"))
        backbone.relay()
        with closing(backbone.broker.subscribe(QUEUE)) as hold, pytest.raises(Crash):
            dying.handle(taken(hold, 1))
        assert backbone.effects() == []

        backbone.consume(backbone.consumer(on(Deposited, apply)), 1)

        assert backbone.effects() == ["anna"]

    def test_competing_consumers_share_the_work_and_every_effect_happens_once(self, backbone: Backbone) -> None:
        consumers = [backbone.consumer(on(Deposited, apply)) for _ in range(2)]
        names = [f"account-{number:03}" for number in range(100)]
        backbone.publish(*map(Deposited, names))
        backbone.relay()
        with backbone.units.write() as uow:
            outbox.replay(uow.session, backbone.clock.now())
        backbone.relay()
        threads = [threading.Thread(target=consumer.run, args=(lambda: None,)) for consumer in consumers]

        for thread in threads:
            thread.start()
        wait_until(lambda: backbone.counted("handled") + backbone.counted("repeated") == 200)
        backbone.stop.set()
        for thread in threads:
            thread.join(10)

        assert backbone.effects() == names

    def test_what_a_handler_publishes_commits_with_its_effect(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_and_answer))

        consumer.handle(delivered(backbone.clock, Deposited("poison"), Deposited("anna")))

        assert backbone.effects() == ["anna"]
        assert backbone.outbox() == {"pending": 1}

    def test_a_message_that_fails_is_acknowledged_because_a_row_remembers_it(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))

        backbone.bring(consumer, Deposited("poison"), Deposited("anna"))

        assert backbone.effects() == ["anna"]
        assert [row.subject for row in backbone.failed()] == ["poison"]
        assert backbone.broker.depth(QUEUE) == 0

    def test_a_known_event_nobody_subscribed_to_is_let_go_and_counted(self, backbone: Backbone) -> None:
        backbone.consumer(on(Renamed, apply))
        now = backbone.consumer(on(Deposited, apply))

        backbone.bring(now, Renamed("anna"))

        assert backbone.effects() == []
        assert backbone.counted("not_subscribed") == 1
        assert backbone.failed() == backbone.dead() == []
        assert backbone.broker.depth(QUEUE) == 0

    def test_an_event_a_handler_drops_is_done_with(self, backbone: Backbone) -> None:
        calls = []

        def drop(event: Event, uow: UnitOfWork) -> None:
            calls.append(event)
            apply(event, uow)
            raise Drop("nobody cares")

        consumer = backbone.consumer(on(Deposited, drop))
        deliveries = delivered(backbone.clock, Deposited("anna"))

        consumer.handle(deliveries)
        consumer.handle(deliveries)

        assert len(calls) == 1
        assert backbone.effects() == []
        assert backbone.failed() == backbone.dead() == []
        assert backbone.counted("dropped") == 1


class CorrelationConformance:
    """What an event causes can be traced back to it."""

    def test_what_a_handler_publishes_names_its_cause(self, backbone: Backbone) -> None:
        request = Correlation("request-7", traceparent=correlation.next_traceparent(None))
        consumer = backbone.consumer(on(Deposited, apply_and_answer))
        with correlation.correlated(request):
            backbone.publish(Deposited("anna"))
        (first,) = pending(backbone)
        backbone.relay()

        backbone.consume(consumer, 1)

        (second,) = pending(backbone)
        assert (first.correlationid, second.correlationid) == ("request-7", "request-7")
        assert second.causationid == str(first.id)
        assert str(second.traceparent)[:35] == str(request.traceparent)[:35]
        assert second.traceparent != first.traceparent

    def test_a_batch_handler_names_the_cause_of_each(self, backbone: Backbone) -> None:
        def answer(events: list[Event], uow: UnitOfWork) -> None:
            uow.publish_all(Outgoing(Opened(event.subject), cause=event) for event in events)

        consumer = backbone.consumer(on_batch(Deposited, answer))
        deliveries = delivered(backbone.clock, Deposited("anna"), Deposited("bert"))

        consumer.handle(deliveries)

        causes = [decoded(delivery.content_type, delivery.body)[0] for delivery in deliveries]
        assert [event.causationid for event in pending(backbone)] == [str(cause.id) for cause in causes]
        assert [event.correlationid for event in pending(backbone)] == [cause.correlationid for cause in causes]

    def test_handlers_work_under_the_ids_of_their_event_and_leave_none_behind(self, backbone: Backbone) -> None:
        seen = []
        consumer = backbone.consumer(on(Deposited, lambda event, _: seen.append((event, correlation.current()))))

        consumer.handle(delivered(backbone.clock, Deposited("anna"), Deposited("bert")))

        for event, ids in seen:
            assert ids is not None
            assert (ids.correlation_id, ids.causation_id) == (event.correlation_id, str(event.id))
        assert len({ids.correlation_id for _, ids in seen if ids}) == 2
        assert correlation.current() is None

    def test_what_a_plain_handler_did_is_logged_once_under_the_ids_of_its_event(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        with correlation.correlated(Correlation("request-7")):
            deliveries = delivered(backbone.clock, Deposited("anna"))

        consumer.handle(deliveries)
        consumer.handle(deliveries)

        (line,) = backbone.lines("event_handled")
        assert (line["correlation_id"], line["type"]) == ("request-7", Deposited.type)

    def test_what_a_batch_handler_did_is_one_line_with_the_number_of_events(self, backbone: Backbone) -> None:
        """S4-19."""

        def apply_all(events: list[Event], uow: UnitOfWork) -> None:
            for event in events:
                apply(event, uow)

        consumer = backbone.consumer(on_batch(Deposited, apply_all))
        with correlation.correlated(Correlation("run-7")):
            backbone.publish_batch(Deposited("anna"), Deposited("bert"))
        backbone.relay()

        backbone.consume(consumer, 1)

        (line,) = backbone.lines("batch_handled")
        assert (line["correlation_id"], line["type"], line["events"]) == ("run-7", Deposited.type, 2)

    def test_a_retry_is_logged_under_the_ids_of_its_event(self, backbone: Backbone) -> None:
        """S4-19."""
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        with correlation.correlated(Correlation("request-7")):
            deliveries = delivered(backbone.clock, Deposited("poison"))
        consumer.handle(deliveries)

        backbone.retry(consumer, after=3600)

        line, *_ = backbone.lines("event_failed_again")
        assert line["correlation_id"] == "request-7"

    def test_the_log_of_a_failure_carries_the_ids_of_its_event(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        with correlation.correlated(Correlation("request-7")):
            deliveries = delivered(backbone.clock, Deposited("poison"))

        consumer.handle(deliveries)

        (line,) = backbone.lines("event_failed")
        assert line["correlation_id"] == "request-7"


def pending(backbone: Backbone) -> list[Received]:
    """Return the events that wait in the outbox."""
    with backbone.database.reading() as session:
        messages = [message for _, message in outbox.pending(session, 100)]
    return [event for message in messages for event in decoded(message.content_type, message.body)]
