"""What becomes of messages whose handling fails: tried again, and at last kept for the operators."""

from datetime import timedelta

import pytest

from service_chassis.messaging import failures
from service_chassis.messaging.consumer import Consumer
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.failures import Filter
from service_chassis.messaging.subscriptions import Drop, Retry, on
from service_chassis.testing.conformance.backbone import BACKOFF, Backbone, delivered, delivered_batch, redrive
from service_chassis.testing.conformance.sample import (
    Deposited,
    Opened,
    Poison,
    always_failing,
    apply,
    apply_unless_poison,
)
from service_chassis.unit_of_work import UnitOfWork


class RetryConformance:
    """A failed attempt is a row, tried again when it is due, and in the end a dead letter."""

    def test_a_failed_attempt_is_a_row_that_says_what_happened(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))

        backbone.bring(consumer, Deposited("poison"))

        (row,) = backbone.failed()
        assert (row.type, row.subject, row.reason) == (Deposited.type, "poison", "handler_failed")
        assert row.error == "Poison: This cannot be handled."
        assert (row.attempts, row.next_attempt_at) == (1, backbone.clock.now() + timedelta(seconds=10))
        assert backbone.effects() == []
        assert backbone.broker.depth(consumer.queue) == 0

    def test_a_failed_message_is_tried_again_when_it_is_due_and_not_before(self, backbone: Backbone) -> None:
        consumer = failing_once(backbone)

        backbone.retry(consumer, after=9)
        assert backbone.effects() == []
        backbone.retry(consumer, after=1)

        assert backbone.effects() == ["anna"]
        assert backbone.failed() == backbone.dead() == []

    def test_the_wait_grows_with_each_attempt_until_the_last_makes_a_dead_letter(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        consumer.handle(delivered(backbone.clock, Deposited("poison")))

        backbone.retry(consumer, after=10)
        (second,) = backbone.failed()
        backbone.retry(consumer, after=20)

        assert (second.attempts, second.next_attempt_at) == (2, backbone.clock.now())
        (dead,) = backbone.dead()
        assert (dead.attempts, dead.next_attempt_at) == (BACKOFF.attempts, None)
        assert backbone.failed() == []

    def test_a_message_that_stays_due_does_not_make_the_consumer_go_round_and_round(self, backbone: Backbone) -> None:
        def at_once(_: Event, __: UnitOfWork) -> None:
            raise Retry(timedelta(0))

        consumer = backbone.consumer(on(Deposited, at_once))
        consumer.handle(delivered(backbone.clock, Deposited("anna")))

        assert not consumer.retry_failed()
        assert len(backbone.failed()) == 1

    def test_many_messages_that_are_due_are_tried_a_piece_at_a_time(
        self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(failures, "DUE_AT_ONCE", 2)
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        consumer.handle([delivered_batch(backbone.clock, *[Deposited("poison")] * 3)])
        backbone.clock.advance(BACKOFF.first)
        mended = backbone.consumer(on(Deposited, apply))

        assert [mended.retry_failed() for _ in range(2)] == [True, False]
        assert len(backbone.effects()) == 3

    def test_a_dead_letter_is_left_alone(self, backbone: Backbone) -> None:
        consumer = dead_letters(backbone, "poison")
        mended = backbone.consumer(on(Deposited, apply))

        backbone.retry(mended, after=86_400)

        assert backbone.effects() == []
        assert len(backbone.dead()) == 1
        assert consumer.name == mended.name

    def test_a_handler_that_asks_for_later_is_asked_later_and_no_attempt_counts(self, backbone: Backbone) -> None:
        asked = []

        def later(event: Event, uow: UnitOfWork) -> None:
            asked.append(uow.now)
            apply(event, uow)
            raise Retry(timedelta(minutes=5))

        consumer = backbone.consumer(on(Deposited, later))
        start = backbone.clock.now()

        consumer.handle(delivered(backbone.clock, Deposited("anna")))
        for _ in range(BACKOFF.attempts + 1):
            backbone.retry(consumer, after=300)

        assert asked == [start + timedelta(minutes=5) * turn for turn in range(BACKOFF.attempts + 2)]
        (row,) = backbone.failed()
        assert row.attempts == 0
        assert backbone.effects() == []
        assert backbone.counted("failed") == 0

    def test_a_handler_may_drop_at_a_later_attempt(self, backbone: Backbone) -> None:
        failing = backbone.consumer(on(Deposited, apply_unless_poison))
        failing.handle(delivered(backbone.clock, Deposited("poison")))

        def drop(_: Event, __: UnitOfWork) -> None:
            raise Drop("nobody cares any more")

        backbone.retry(backbone.consumer(on(Deposited, drop)), after=10)

        assert backbone.failed() == backbone.dead() == []
        assert backbone.effects() == []

    def test_a_message_that_comes_again_while_it_waits_stays_one_row(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        deliveries = delivered(backbone.clock, Deposited("poison"))

        consumer.handle(deliveries)
        consumer.handle(deliveries)

        (row,) = backbone.failed()
        assert row.attempts == 2

    def test_a_message_that_succeeds_when_it_comes_again_has_no_second_effect_when_its_row_is_due(
        self, backbone: Backbone
    ) -> None:
        deliveries = delivered(backbone.clock, Deposited("poison"))
        backbone.consumer(on(Deposited, apply_unless_poison)).handle(deliveries)
        mended = backbone.consumer(on(Deposited, apply))

        mended.handle(deliveries)
        backbone.retry(mended, after=10)

        assert backbone.effects() == ["poison"]
        assert backbone.failed() == backbone.dead() == []

    def test_an_error_of_any_text_can_be_kept(self, backbone: Backbone) -> None:
        def fail(_: Event, __: UnitOfWork) -> None:
            raise Poison("nul \0, half a surrogate \ud800, and much more" + "." * 10_000)

        consumer = backbone.consumer(on(Deposited, fail))

        consumer.handle(delivered(backbone.clock, Deposited("anna")))
        backbone.retry(consumer, after=10)

        (row,) = backbone.failed()
        assert row.attempts == 2
        assert row.error.startswith("Poison: nul ")


class DeadLetterConformance:
    """What operators can do with dead letters."""

    def test_dead_letters_are_redriven_by_filter_and_counted_before(self, backbone: Backbone) -> None:
        dead_letters(backbone, "poison", "poison")
        mended = backbone.consumer(on(Deposited, apply))
        chosen = Filter(ids=[backbone.dead()[0].id])
        with backbone.units.read() as uow:
            assert failures.count(uow.session, chosen) == 1
            assert failures.count(uow.session, Filter(type=Opened.type)) == 0
            assert failures.count(uow.session, Filter(type=Deposited.type, subject="poison")) == 2
        assert backbone.effects() == []

        assert redrive(backbone, chosen) == 1
        backbone.retry(mended)

        assert backbone.effects() == ["poison"]
        assert len(backbone.dead()) == 1

    def test_a_redriven_message_that_fails_again_has_all_its_attempts(self, backbone: Backbone) -> None:
        consumer = dead_letters(backbone, "poison")

        redrive(backbone, Filter())
        backbone.retry(consumer)

        (row,) = backbone.failed()
        assert row.attempts == 1
        assert row.next_attempt_at == backbone.clock.now() + timedelta(seconds=10)

    def test_dead_letters_are_chosen_by_time(self, backbone: Backbone) -> None:
        dead_letters(backbone, "poison")
        moment = backbone.clock.now() + timedelta(minutes=1)
        backbone.clock.advance(timedelta(hours=1))
        dead_letters(backbone, "poison")

        with backbone.units.read() as uow:
            newer = failures.listed(uow.session, Filter(since=moment))
            older = failures.listed(uow.session, Filter(until=moment))

        assert newer == [backbone.dead()[0]]
        assert older == [backbone.dead()[1]]

    def test_dropping_deletes_what_was_chosen_and_nothing_else(self, backbone: Backbone) -> None:
        dead_letters(backbone, "poison")
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        consumer.handle(delivered(backbone.clock, Deposited("poison")))

        with backbone.units.write() as uow:
            assert failures.drop(uow.session, Filter(type=Opened.type)) == 0
            assert failures.drop(uow.session, Filter(type=Deposited.type)) == 1

        assert backbone.dead() == []
        assert len(backbone.failed()) == 1

    def test_failed_messages_are_counted_by_state(self, backbone: Backbone) -> None:
        consumer = dead_letters(backbone, "poison")
        consumer.handle(delivered(backbone.clock, Deposited("poison"), Deposited("poison")))

        with backbone.units.read() as uow:
            assert failures.totals(uow.session) == {"dead": 1, "retrying": 2}


def failing_once(backbone: Backbone) -> Consumer:
    """Return a consumer that has failed at anna's event and would handle it the next time."""
    backbone.consumer(on(Deposited, always_failing)).handle(delivered(backbone.clock, Deposited("anna")))
    return backbone.consumer(on(Deposited, apply))


def dead_letters(backbone: Backbone, *subjects: str) -> Consumer:
    """Return a consumer that has given up on events of these subjects, all of them poison."""
    consumer = backbone.consumer(on(Deposited, apply_unless_poison))
    consumer.handle(delivered(backbone.clock, *map(Deposited, subjects)))
    for _ in range(BACKOFF.attempts):
        backbone.retry(consumer, after=40)
    return consumer
