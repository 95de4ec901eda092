import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from service_chassis.messaging.broker import Broker, BrokerUnavailable, Outcome
from service_chassis.messaging.connect import connect
from service_chassis.messaging.sqlite_broker import SqliteBroker
from service_chassis.testing.conformance.broker import QUEUE, SAMPLE, ids, message, messages, taken
from service_chassis.testing.outage import database_away
from service_chassis.testing.plugin import any_broker

TAKES_THREE = """
hold = broker.subscribe(QUEUE)
print(*ids(taken(hold, 3)), flush=True)
sys.stdin.readline()
"""
PUBLISHES_ONE = """
broker.publish([message(7)])
"""
BEGINNING = """
import sys
from service_chassis.messaging.connect import connect
from service_chassis.testing.conformance.broker import QUEUE, ids, message, taken
broker = connect(sys.argv[1], name="other")
"""


@contextmanager
def other_process(broker_url: str, work: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", BEGINNING + work, broker_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@any_broker
class TestOtherProcesses:
    def test_what_a_killed_process_had_taken_comes_to_another_consumer(self, broker: Broker, broker_url: str) -> None:
        broker.declare(SAMPLE)
        broker.publish(messages(3))
        with other_process(broker_url, TAKES_THREE) as other:
            assert other.stdout is not None
            assert other.stdout.readline().split() == ids(messages(3))
            with closing(broker.subscribe(QUEUE)) as hold:
                assert hold.take(500, timeout=0.1) == []

                other.kill()

                assert ids(taken(hold, 3)) == ids(messages(3))

    def test_a_message_another_process_publishes_reaches_a_consumer_that_waits(
        self, broker: Broker, broker_url: str
    ) -> None:
        broker.declare(SAMPLE)
        with closing(broker.subscribe(QUEUE)) as hold, other_process(broker_url, PUBLISHES_ONE):
            assert ids(hold.take(500, timeout=30)) == ["message-7"]


class TestAFileThatIsAway:
    def test_everything_says_so_and_works_again_when_it_is_back(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/folder/broker.db"
        with closing(SqliteBroker(url)) as broker:
            broker.declare(SAMPLE)
            broker.publish([message(1)])
            with closing(broker.subscribe(QUEUE)) as hold:
                deliveries = taken(hold, 1)
                with database_away(broker._database, url):
                    for call in (
                        lambda: broker.declare(SAMPLE),
                        lambda: broker.publish([message(2)]),
                        lambda: broker.subscribe(QUEUE),
                        lambda: broker.depth(QUEUE),
                        lambda: hold.take(500, timeout=0.1),
                        lambda: hold.acknowledge(deliveries),
                    ):
                        with pytest.raises(BrokerUnavailable):
                            call()

                assert broker.publish([message(3)]) == [Outcome.CONFIRMED]
                hold.acknowledge(deliveries)
                assert ids(taken(hold, 1)) == ["message-3"]


@pytest.mark.parametrize("url", ["http://localhost", "", "postgresql://localhost/x"])
def test_a_url_of_no_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="broker URL"):
        connect(url, name="tests")


@any_broker
def test_a_file_of_an_earlier_version_is_used_on(broker: Broker, broker_url: str) -> None:
    broker.declare(SAMPLE)
    broker.close()
    with closing(sqlite3.connect(broker_url.removeprefix("sqlite:///"))) as file:
        file.execute("ALTER TABLE messages DROP COLUMN correlation_id")

    again = connect(broker_url, name="tests")

    assert again.publish(messages(1)) == [Outcome.CONFIRMED]
    with closing(again.subscribe(QUEUE)) as hold:
        assert ids(taken(hold, 1)) == ids(messages(1))
    again.close()
