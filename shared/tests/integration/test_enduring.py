import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from service_chassis.database import Database
from service_chassis.loop import Loop
from service_chassis.messaging import consumer as consumer_module
from service_chassis.messaging.envelope import Event, Outgoing
from service_chassis.messaging.subscriptions import on
from service_chassis.testing.conformance.backbone import Backbone, delivered
from service_chassis.testing.conformance.enduring import OutageConformance, consumption
from service_chassis.testing.conformance.sample import QUEUE, Deposited, always_failing, apply
from service_chassis.testing.plugin import any_broker, only_postgresql, only_sqlite
from service_chassis.testing.proxy import Proxy
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import UnitOfWork

pytestmark = pytest.mark.serial


class TestOutages(OutageConformance):
    pass


def raising(sqlstate: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{sqlstate}'; END $$"


def interrupted(statement: str, calls: list[str]) -> Callable[[Event, UnitOfWork], None]:
    """Return a handler whose first two attempts at an event addressed to `bert` run a statement that fails."""

    def handle(event: Event, uow: UnitOfWork) -> None:
        apply(event, uow)
        calls.append(event.subject)
        if calls.count("bert") < 3 and event.subject == "bert":
            uow.session.execute(text(statement))

    return handle


@only_postgresql
@any_broker
class TestConflictsOnPostgreSQL:
    @pytest.fixture(autouse=True)
    def _short_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consumer_module, "DATABASE_RETRY", 0.05)

    @pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03"])
    def test_a_transaction_in_conflict_with_another_is_redone_and_no_attempt_counts(
        self, backbone: Backbone, sqlstate: str
    ) -> None:
        calls: list[str] = []
        consumer = backbone.consumer(on(Deposited, interrupted(raising(sqlstate), calls)))

        backbone.bring(consumer, Deposited("anna"), Deposited("bert"))

        assert backbone.effects() == ["anna", "bert"]
        assert calls.count("bert") == 3
        assert backbone.failed() == backbone.dead() == []

    def test_a_connection_that_is_lost_half_way_costs_no_event(self, backbone: Backbone) -> None:
        calls: list[str] = []
        lost = interrupted("SELECT pg_terminate_backend(pg_backend_pid())", calls)
        consumer = backbone.consumer(on(Deposited, lost))

        backbone.bring(consumer, Deposited("anna"), Deposited("bert"))

        assert backbone.effects() == ["anna", "bert"]
        assert backbone.failed() == backbone.dead() == []

    def test_a_statement_that_takes_too_long_is_a_failed_attempt(self, backbone: Backbone) -> None:
        calls: list[str] = []
        consumer = backbone.consumer(on(Deposited, interrupted(raising("57014"), calls)))

        backbone.bring(consumer, Deposited("anna"), Deposited("bert"))

        assert backbone.effects() == ["anna"]
        assert [row.subject for row in backbone.failed()] == ["bert"]

    def test_two_transactions_that_wait_for_each_other_both_have_their_effect(self, backbone: Backbone) -> None:
        both_hold_one = threading.Barrier(2)
        calls = 0

        def cross(event: Event, uow: UnitOfWork) -> None:
            nonlocal calls
            calls += 1
            first, second = (1, 2) if event.subject == "anna" else (2, 1)
            uow.session.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
            uow.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": first})
            if calls <= 2:
                both_hold_one.wait(10)
            uow.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": second})
            apply(event, uow)

        consumer = backbone.consumer(on(Deposited, cross))
        threads = [
            threading.Thread(target=consumer._settle, args=(lambda d=d: consumer.handle([d]),))
            for d in delivered(backbone.clock, Deposited("anna"), Deposited("bert"))
        ]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

        assert backbone.effects() == ["anna", "bert"]
        assert calls == 3

    def test_a_message_in_conflict_does_not_keep_others_from_being_tried_again(self, backbone: Backbone) -> None:
        def conflict(event: Event, uow: UnitOfWork) -> None:
            apply(event, uow)
            if event.subject == "anna":
                uow.session.execute(text(raising("40001")))

        failing = backbone.consumer(on(Deposited, always_failing))
        for name in ("anna", "bert"):
            failing.handle(delivered(backbone.clock, Deposited(name)))
            backbone.clock.advance(timedelta(seconds=10))

        backbone.consumer(on(Deposited, conflict)).retry_failed()

        assert backbone.effects() == ["bert"]
        assert [row.attempts for row in backbone.failed()] == [1]

    def test_an_event_with_a_lower_number_that_commits_later_is_published_all_the_same(
        self, backbone: Backbone
    ) -> None:
        backbone.consumer(on(Deposited, apply))
        with backbone.units.write() as slow:
            slow.publish(Outgoing(Deposited("anna")))
            slow.session.execute(text("SELECT nextval('outbox_seq_seq')"))
            backbone.publish(Deposited("bert"))
            backbone.relay()
            assert backbone.outbox() == {}

        backbone.relay()

        assert wait_until(lambda: backbone.broker.depth(QUEUE) == 2)
        assert backbone.outbox() == {}


@only_postgresql
@any_broker
class TestTwoRelays:
    def test_the_other_takes_over_when_the_first_has_lost_its_connection(
        self, backbone: Backbone, database_url: str
    ) -> None:
        backbone.consumer(on(Deposited, apply))
        with Proxy(database_url) as proxy, closing(Database(proxy.url)) as distant:
            first, second = backbone.new_relay(database=distant), backbone.new_relay()
            loops = [Loop("relay", relay.run, backbone.log, backbone.stop) for relay in (first, second)]
            loops[0].start()
            backbone.publish(Deposited("anna"))
            wait_until(lambda: backbone.outbox() == {})
            loops[1].start()

            proxy.cut()

            backbone.publish(Deposited("bert"))
            wait_until(lambda: backbone.outbox() == {})
            backbone.stop.set()
            assert all(loop.join(time.monotonic() + 10) for loop in loops)


@only_sqlite
@any_broker
class TestConflictsOnSQLite:
    def test_a_consumer_waits_while_another_process_writes(self, backbone: Backbone) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        backbone.publish(Deposited("anna"))
        backbone.relay()
        be_impatient(backbone.database)
        other = sqlite3.connect(str(backbone.database.file), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        ticks: list[None] = []

        with consumption(backbone, consumer, lambda: ticks.append(None)):
            wait_until(lambda: len(ticks) > 5)
            other.execute("ROLLBACK")
            wait_until(lambda: backbone.counted("handled"))

        other.close()
        assert backbone.effects() == ["anna"]
        assert backbone.failed() == backbone.dead() == []


def be_impatient(database: Database) -> None:
    """Make new connections report a locked database at once."""
    database.engine.dispose()

    @event.listens_for(database.engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA busy_timeout=1")
