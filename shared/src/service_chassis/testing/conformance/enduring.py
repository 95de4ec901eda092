"""What a consumer does without its database: it waits, and neither loses nor blames an event."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from service_chassis.messaging import consumer as consuming
from service_chassis.messaging.consumer import Consumer
from service_chassis.messaging.subscriptions import on
from service_chassis.testing.conformance.backbone import Backbone
from service_chassis.testing.conformance.sample import Deposited, apply
from service_chassis.testing.outage import database_away
from service_chassis.testing.waiting import wait_until


class OutageConformance:
    """A database that goes away and comes back."""

    @pytest.fixture(autouse=True)
    def _short_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consuming, "DATABASE_RETRY", 0.05)

    def test_a_consumer_without_a_database_pauses_acknowledges_nothing_and_goes_on_later(
        self, backbone: Backbone, database_url: str
    ) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        backbone.publish(Deposited("anna"))
        backbone.relay()

        with database_away(backbone.database, database_url), consumption(backbone, consumer):
            wait_until(lambda: backbone.lines("consumer_paused"))
        with consumption(backbone, consumer):
            wait_until(lambda: backbone.counted("handled"))

        assert backbone.effects() == ["anna"]
        assert backbone.failed() == backbone.dead() == []

    def test_a_consumer_that_waits_for_its_database_goes_on_by_itself_and_counts_as_alive(
        self, backbone: Backbone, database_url: str
    ) -> None:
        consumer = backbone.consumer(on(Deposited, apply))
        backbone.publish(Deposited("anna"))
        backbone.relay()
        ticks: list[None] = []

        with ExitStack() as outage:
            outage.enter_context(database_away(backbone.database, database_url))
            with consumption(backbone, consumer, lambda: ticks.append(None)):
                wait_until(lambda: backbone.lines("consumer_paused"))
                before = len(ticks)
                wait_until(lambda: len(ticks) > before + 2)
                outage.close()
                wait_until(lambda: backbone.counted("handled"))

        assert backbone.effects() == ["anna"]
        assert backbone.failed() == backbone.dead() == []


@contextmanager
def consumption(
    backbone: Backbone, consumer: Consumer, tick: Callable[[], None] = lambda: None
) -> Iterator[threading.Thread]:
    """Run a consumer in a thread until the end of the block."""
    backbone.stop.clear()
    thread = threading.Thread(target=consumer.run, args=(tick,))
    thread.start()
    try:
        yield thread
    finally:
        backbone.stop.set()
        thread.join(10)
        assert not thread.is_alive()
