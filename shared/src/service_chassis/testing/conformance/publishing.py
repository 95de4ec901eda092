"""How events get from a commit to the broker, on whichever database and broker."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service_chassis.database import Database
from service_chassis.messaging import outbox, relay
from service_chassis.messaging.broker import Broker, Message, Outcome
from service_chassis.messaging.envelope import BATCH_LIMIT, Outgoing
from service_chassis.messaging.subscriptions import on
from service_chassis.messaging.tables import outbox as outbox_table
from service_chassis.messaging.topology import consuming
from service_chassis.testing.conformance.backbone import Backbone
from service_chassis.testing.conformance.broker import taken
from service_chassis.testing.conformance.sample import QUEUE, Deposited, Opened, Stray, apply
from service_chassis.testing.waiting import wait_until

EVERYTHING = consuming(QUEUE, [(event.exchange, event.type) for event in (Deposited, Opened)])


class OutboxConformance:
    """What commits, and what becomes of it."""

    def test_an_event_goes_out_when_its_transaction_has_committed_and_not_before(self, backbone: Backbone) -> None:
        backbone.broker.declare(EVERYTHING)
        with backbone.units.write() as uow:
            uow.publish(Outgoing(Deposited("anna")))
            assert backbone.new_relay().publish_pending() == 0

        assert backbone.new_relay().publish_pending() == 1

        assert wait_until(lambda: backbone.broker.depth(QUEUE)) == 1

    def test_a_transaction_that_rolls_back_publishes_nothing(self, backbone: Backbone) -> None:
        backbone.broker.declare(EVERYTHING)
        with pytest.raises(ZeroDivisionError), backbone.units.write() as uow:
            uow.publish(Outgoing(Deposited("anna")))
            uow.publish_all([Outgoing(Deposited("bert"))])
            uow.session.flush()
            1 / 0  # noqa: B018  # Any error will do.

        assert backbone.outbox() == {}
        assert backbone.new_relay().publish_pending() == 0

    def test_events_go_out_in_the_order_they_were_published_in(self, backbone: Backbone) -> None:
        backbone.broker.declare(EVERYTHING)
        names = [f"account-{number}" for number in range(20)]
        backbone.publish(*map(Deposited, names))

        backbone.relay()

        with closing(backbone.broker.subscribe(QUEUE)) as hold:
            bodies = [delivery.body.decode() for delivery in taken(hold, 20)]
        assert all(f'"subject":"{name}"' in body for name, body in zip(names, bodies, strict=True))

    def test_a_backlog_larger_than_one_piece_goes_out_complete(
        self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relay, "ROWS_AT_ONCE", 20)
        backbone.broker.declare(EVERYTHING)
        backbone.publish(*(Deposited(f"account-{number}") for number in range(21)))

        backbone.relay()

        assert backbone.outbox() == {}
        assert wait_until(lambda: backbone.broker.depth(QUEUE) == 21)

    def test_large_batches_are_read_a_few_at_a_time(self, backbone: Backbone) -> None:
        backbone.publish_batch(*(Deposited("anna") for _ in range(outbox.EVENTS_AT_ONCE + BATCH_LIMIT)))

        with backbone.database.reading() as session:
            rows = outbox.pending(session, relay.ROWS_AT_ONCE)

        assert sum(message.events for _, message in rows) == outbox.EVENTS_AT_ONCE

    def test_an_event_no_queue_is_bound_for_waits_and_goes_out_when_one_is(self, backbone: Backbone) -> None:
        backbone.publish(Deposited("anna"))
        backbone.relay()
        assert backbone.outbox() == {"unroutable": 1}
        backbone.broker.declare(EVERYTHING)

        backbone.clock.advance(outbox.UNROUTABLE_RETRY)
        backbone.relay()

        assert backbone.outbox() == {}
        assert wait_until(lambda: backbone.broker.depth(QUEUE)) == 1

    def test_an_unroutable_event_is_not_tried_again_before_its_time(self, backbone: Backbone) -> None:
        backbone.publish(Deposited("anna"))
        backbone.relay()
        backbone.broker.declare(EVERYTHING)

        backbone.clock.advance(timedelta(seconds=0.9))
        backbone.relay()

        assert backbone.outbox() == {"unroutable": 1}

    @pytest.mark.parametrize("event", [Deposited("anna"), Stray("anna")])
    def test_what_cannot_be_published_is_tried_less_and_less_often(
        self, backbone: Backbone, event: Deposited | Stray
    ) -> None:
        backbone.publish(event, event)
        waits = []

        for _ in range(8):
            backbone.relay()
            with backbone.units.read() as uow:
                due = uow.session.scalars(select(outbox_table.c.next_attempt_at)).all()
            waits.append({(moment - backbone.clock.now()).total_seconds() for moment in due})
            backbone.clock.advance(max(due) - backbone.clock.now())

        assert waits[:6] == [{1}, {2}, {4}, {8}, {16}, {32}]
        assert max(waits[-1]) <= outbox.LONGEST_DELAY.total_seconds()

    def test_rows_that_are_due_come_back_a_piece_at_a_time(self, backbone: Backbone) -> None:
        backbone.publish(*[Opened(name) for name in ("anna", "bert", "carl")])
        backbone.relay()
        backbone.clock.advance(outbox.UNROUTABLE_RETRY)

        with backbone.units.write() as uow:
            released = outbox.release_due(uow.session, uow.now, limit=2)

        assert released == 2
        assert backbone.outbox() == {"pending": 2, "unroutable": 1}

    def test_a_change_of_the_topology_brings_unroutable_events_back_at_once(self, backbone: Backbone) -> None:
        backbone.publish(Deposited("anna"))
        backbone.relay()
        backbone.broker.declare(EVERYTHING)

        with backbone.units.write() as uow:
            outbox.release_unroutable(uow.session)
        backbone.relay()

        assert backbone.outbox() == {}

    def test_an_event_the_broker_will_not_have_holds_up_no_other(self, backbone: Backbone) -> None:
        backbone.broker.declare(EVERYTHING)
        backbone.publish(Deposited("anna"), Stray("nobody"), Deposited("bert"))

        backbone.relay()

        assert sum(backbone.outbox().values()) == 1
        assert "pending" not in backbone.outbox()
        assert wait_until(lambda: backbone.broker.depth(QUEUE) >= 2)

    def test_what_was_published_can_be_replayed_and_consumers_that_had_it_pass_it_over(
        self, backbone: Backbone
    ) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        backbone.bring(consumer, Deposited("anna"))
        start = backbone.clock.now() + timedelta(minutes=1)
        backbone.clock.advance(timedelta(minutes=2))
        backbone.bring(consumer, Deposited("bert"), Deposited("carla"))

        with backbone.units.write() as uow:
            assert outbox.replay(uow.session, start, types=[Opened.type]) == 0
            assert outbox.replay(uow.session, start, dry_run=True) == 2
            assert outbox.replay(uow.session, start, types=[Deposited.type]) == 2
        backbone.relay()
        backbone.consume(consumer, 2)

        assert backbone.effects() == ["anna", "bert", "carla"]
        assert backbone.counted("repeated") == 2

    def test_published_rows_are_forgotten_after_their_time_and_others_never(self, backbone: Backbone) -> None:
        backbone.broker.declare(EVERYTHING)
        backbone.publish(Deposited("anna"))
        backbone.relay()
        backbone.publish(Deposited("bert"))
        backbone.clock.advance(timedelta(hours=24))

        with backbone.units.write() as uow:
            assert outbox.forget_published(uow.session, uow.now) == 1

        with backbone.units.read() as uow:
            assert list(uow.session.scalars(select(outbox_table.c.state))) == ["pending"]


class RelayConformance:
    """How the relay runs beside everything else."""

    def test_a_commit_wakes_the_relay(self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(relay, "LOOK_EVERY", 60)
        backbone.broker.declare(EVERYTHING)
        with running(backbone):
            backbone.publish(Deposited("anna"))
            wait_until(lambda: backbone.outbox() == {})

            backbone.publish(Deposited("bert"))

            wait_until(lambda: backbone.outbox() == {})

    def test_rows_that_wait_come_back_also_while_there_is_always_something_to_publish(
        self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relay, "LOOK_EVERY", 0)
        backbone.publish(Deposited("anna"))
        backbone.relay()
        backbone.broker.declare(EVERYTHING)
        backbone.clock.advance(outbox.UNROUTABLE_RETRY)

        with running(backbone, tick=lambda: backbone.publish(Deposited("bert"))):
            wait_until(lambda: "unroutable" not in backbone.outbox())

    def test_what_was_written_just_before_the_stop_still_goes_out(self, backbone: Backbone) -> None:
        backbone.broker.declare(EVERYTHING)
        backbone.publish(Deposited("anna"))
        backbone.stop.set()

        backbone.new_relay().run(lambda: None)

        assert backbone.outbox() == {}

    def test_two_relays_at_the_same_rows_publish_twice_and_no_effect_happens_twice(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        backbone.publish(Deposited("anna"), Deposited("bert"))
        other = backbone.new_relay()
        delayed = Delayed(backbone.broker, meanwhile=other.publish_pending)

        assert backbone.new_relay(broker=delayed).publish_pending() == 2

        backbone.consume(consumer, 4)
        assert backbone.effects() == ["anna", "bert"]
        assert backbone.outbox() == {}

    def test_of_two_relays_one_publishes_until_it_ends(
        self, backbone: Backbone, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relay, "LOOK_EVERY", 0.05)
        backbone.broker.declare(EVERYTHING)
        other = Database(database_url)
        standby = backbone.new_relay(database=other)
        with running(backbone):
            backbone.publish(Deposited("anna"))
            wait_until(lambda: backbone.outbox() == {})
            assert not standby.lock.acquire()

        with running(backbone, standby):
            backbone.publish(Deposited("bert"))
            wait_until(lambda: backbone.outbox() == {})
        other.close()


class Delayed:
    """A broker to which something else happens before each publication."""

    def __init__(self, broker: Broker, meanwhile: Callable[[], object]) -> None:
        self._broker = broker
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def publish(self, messages: Sequence[Message], timeout: float = 10) -> list[Outcome]:
        self._meanwhile()
        return self._broker.publish(messages, timeout)


class running:  # noqa: N801  # used as a context manager, like contextlib's own
    """Runs a relay in a thread; the backbone's stop event ends it at the end of the block."""

    def __init__(
        self, backbone: Backbone, relay: relay.Relay | None = None, *, tick: Callable[[], None] = lambda: None
    ) -> None:
        self._backbone = backbone
        self._thread = threading.Thread(target=(relay or backbone.new_relay()).run, args=(tick,))

    def __enter__(self) -> None:
        self._backbone.stop.clear()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._backbone.stop.set()
        self._backbone.database.wakeup.signal()
        self._thread.join(10)
        assert not self._thread.is_alive()
