import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from service_chassis import loop as loop_module
from service_chassis.breaker import BreakerRules
from service_chassis.messaging import failures
from service_chassis.messaging.connect import connect
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.subscriptions import on
from service_chassis.messaging.tables import heartbeats, inbox, outbox
from service_chassis.messaging.topology import DELIVERY_LIMIT
from service_chassis.testing.conformance.backbone import BACKOFF, Backbone, delivered
from service_chassis.testing.conformance.broker import taken
from service_chassis.testing.conformance.sample import (
    QUEUE,
    Deposited,
    Opened,
    apply,
    apply_and_answer,
    apply_unless_poison,
)
from service_chassis.testing.plugin import any_broker, any_database, only_rabbitmq
from service_chassis.testing.proxy import Proxy
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import UnitOfWork
from service_chassis.worker import HEARTBEAT_EVERY, Worker


@contextmanager
def at_work(worker: Worker) -> Iterator[None]:
    worker.start()
    try:
        yield
    finally:
        assert worker.stop()


def count(backbone: Backbone, table: object) -> int:
    with backbone.units.read() as uow:
        return uow.session.scalar(select(func.count()).select_from(table)) or 0


def run_job(worker: Worker, name: str) -> None:
    (job,) = [job for job in worker.scheduler._jobs if job.name == name]
    while job.run():
        pass


SOON = BreakerRules(open_for=timedelta(seconds=0.1))


class TestAWorker:
    def test_brings_events_from_the_commit_to_the_effect_and_says_how_it_is(self, backbone: Backbone) -> None:
        worker = backbone.worker(on(Deposited, apply))

        with at_work(worker):
            backbone.publish(Deposited("anna"))
            wait_until(lambda: backbone.effects() == ["anna"])
            backbone.publish(Deposited("bert"))
            wait_until(lambda: backbone.effects() == ["anna", "bert"])
            wait_until(lambda: count(backbone, heartbeats) == 1)

            assert worker.alive
            assert worker.broker_age is not None

    def test_that_reaches_its_broker_just_after_a_heartbeat_says_so_soon(
        self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = backbone.worker()
        tell = worker._heartbeat

        def tell_just_before_the_contact(depth: int | None) -> object:
            told = tell(depth)
            worker.declare()
            return told

        monkeypatch.setattr(worker, "_heartbeat", tell_just_before_the_contact)

        def reached() -> bool:
            with backbone.units.read() as uow:
                return uow.session.scalar(select(heartbeats.c.broker_at)) is not None

        with at_work(worker):
            wait_until(reached, within=HEARTBEAT_EVERY / 2)

    @any_database
    @only_rabbitmq
    def test_whose_broker_is_away_tells_the_state_of_the_breaker(self, backbone: Backbone) -> None:
        """S4-24, C-40."""
        backbone.broker = connect("amqp://127.0.0.1:1", name="tests")

        def states() -> list[str | None]:
            with backbone.units.read() as uow:
                return list(uow.session.scalars(select(heartbeats.c.broker_state)))

        with at_work(backbone.worker()):
            wait_until(lambda: states() == ["open"], within=15)
            assert backbone.metrics.registry.get_sample_value("breaker_state", {"breaker": "broker"}) == 2

    def test_that_stops_lets_its_handlers_finish_and_publishes_what_they_wrote(self, backbone: Backbone) -> None:
        entered, leave = threading.Event(), threading.Event()

        def slow(event: Event, uow: UnitOfWork) -> None:
            entered.set()
            leave.wait(10)
            apply_and_answer(event, uow)

        worker = backbone.worker(on(Deposited, slow))
        worker.start()
        backbone.publish(Deposited("anna"))
        assert entered.wait(10)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        wait_until(backbone.stop.is_set)

        leave.set()
        stopping.join(20)

        assert backbone.effects() == ["anna"]
        assert "pending" not in backbone.outbox()

    @any_database
    @any_broker
    def test_that_cannot_stop_in_time_says_so(self, backbone: Backbone) -> None:
        entered, leave = threading.Event(), threading.Event()

        def stuck(_: Event, __: UnitOfWork) -> None:
            entered.set()
            leave.wait(20)

        worker = backbone.worker(on(Deposited, stuck))
        worker.start()
        backbone.publish(Deposited("anna"))
        assert entered.wait(10)

        assert not worker.stop(within=0.1)

        leave.set()
        assert worker.stop()

    def test_retries_failed_messages_when_they_are_due(self, backbone: Backbone) -> None:
        backbone.consumer(on(Deposited, apply_unless_poison)).handle(delivered(backbone.clock, Deposited("poison")))
        backbone.clock.advance(BACKOFF.first)

        with at_work(backbone.worker(on(Deposited, apply))):
            wait_until(lambda: backbone.effects() == ["poison"])

    def test_brings_unroutable_events_back_when_it_starts(self, backbone: Backbone) -> None:
        backbone.publish(Deposited("anna"))
        backbone.relay()
        assert backbone.outbox() == {"unroutable": 1}

        with at_work(backbone.worker(on(Deposited, apply))):
            wait_until(lambda: backbone.effects() == ["anna"])

    def test_mends_a_binding_that_was_removed(self, backbone: Backbone) -> None:
        worker = backbone.worker(on(Deposited, apply))
        run_job(worker, "topology.declare")
        backbone.broker.unbind(Deposited.exchange, QUEUE, Deposited.type)
        backbone.publish(Deposited("anna"))
        backbone.relay()

        run_job(worker, "topology.declare")
        backbone.publish(Deposited("bert"))
        backbone.relay()

        assert backbone.outbox() == {"unroutable": 1}
        assert backbone.broker.depth(QUEUE) == 1

    @any_broker
    def test_measures_what_is_left_to_do(self, backbone: Backbone) -> None:
        backbone.publish(Opened("anna"), Opened("bert"))
        backbone.relay()
        backbone.consumer(on(Deposited, apply_unless_poison)).handle(delivered(backbone.clock, Deposited("poison")))
        worker = backbone.worker(on(Deposited, apply))

        worker._heartbeat(depth=7)

        value = backbone.metrics.registry.get_sample_value
        assert value("outbox_pending", {"state": "unroutable"}) == 2
        assert value("failed_messages", {"state": "retrying"}) == 1
        assert value("queue_depth") == 7

    def test_keeps_what_nobody_is_bound_for_for_a_week(self, backbone: Backbone) -> None:
        worker = backbone.worker()
        keep = worker._parts.retention
        backbone.publish(Opened("anna"))
        backbone.relay()
        backbone.clock.advance(keep.unroutable)
        backbone.publish(Opened("bert"))
        backbone.relay()

        run_job(worker, "outbox.forget")
        assert backbone.outbox() == {"unroutable": 2}
        backbone.clock.advance(timedelta(seconds=1))
        run_job(worker, "outbox.forget")

        assert backbone.outbox() == {"unroutable": 1}

    @any_broker
    def test_forgets_what_is_too_old_and_keeps_what_is_not(self, backbone: Backbone) -> None:
        worker = backbone.worker(on(Deposited, apply_unless_poison))
        consumer = backbone.consumer(on(Deposited, apply_unless_poison))
        keep = worker._parts.retention

        def leave_traces() -> None:
            backbone.bring(consumer, Deposited("anna"))
            consumer.handle(delivered(backbone.clock, Deposited("poison")))
            for _ in range(BACKOFF.attempts):
                backbone.retry(consumer, after=40)
            with backbone.units.write() as uow:
                name = str(uow.now)
                uow.session.execute(insert(heartbeats).values(worker=name, beat_at=uow.now, holds=""))

        leave_traces()
        backbone.clock.advance(keep.published)
        leave_traces()
        run_job(worker, "outbox.forget")
        assert [count(backbone, table) for table in (outbox, heartbeats, inbox)] == [1, 1, 2]
        assert len(backbone.dead()) == 2

        backbone.clock.advance(keep.inbox - keep.published)
        run_job(worker, "outbox.forget")
        assert count(backbone, inbox) == 1
        assert len(backbone.dead()) == 1

    @any_database
    @only_rabbitmq
    def test_moves_what_the_broker_gave_up_on_into_the_table_of_failures(self, backbone: Backbone) -> None:
        worker = backbone.worker(on(Deposited, apply))
        backbone.broker.declare(worker.topology)
        backbone.publish(Deposited("anna"))
        backbone.relay()
        for _ in range(DELIVERY_LIMIT + 1):
            with closing(backbone.broker.subscribe(QUEUE)) as hold:
                taken(hold, 1)
        wait_until(lambda: backbone.broker.depth(f"{QUEUE}.dead") == 1)

        run_job(worker, "failures.drain_dead")

        (row,) = backbone.dead()
        assert (row.reason, row.type) == ("delivery_limit", Deposited.type)
        with backbone.units.write() as uow:
            failures.redrive(uow.session, failures.Filter(), uow.now)
        backbone.retry(worker.consumer)
        assert backbone.effects() == ["anna"]

    @any_database
    @only_rabbitmq
    def test_that_starts_before_its_broker_works_as_soon_as_that_is_there(
        self, backbone: Backbone, broker_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loop_module, "RESTART_AFTER", 0.1)
        with Proxy(broker_url) as proxy:
            backbone.broker = connect(proxy.url, name="distant")
            proxy.cut()
            backbone.publish(Deposited("anna"))
            with at_work(backbone.worker(on(Deposited, apply), breaker=SOON)):
                wait_until(lambda: len(backbone.lines("loop_paused")) > 1)
                proxy.restore()
                wait_until(lambda: backbone.effects() == ["anna"])

                proxy.drop()
                backbone.publish(Deposited("bert"))
                wait_until(lambda: backbone.effects() == ["anna", "bert"])
