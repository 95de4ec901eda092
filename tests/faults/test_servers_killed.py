"""kill -9 of the servers under load: the processes stay, and go on by themselves when the server is back."""

import time

import pytest

from service_chassis.testing.servers import PrivatePostgres, PrivateRabbitMQ
from service_chassis.testing.waiting import wait_until
from tests.conftest import Figure
from tests.faults.conftest import MakePair
from tests.faults.pair import Commands, Pair
from tests.faults.rig import CONSUMER, PRODUCER

pytestmark = pytest.mark.servers

RECOVERS_WITHIN = 60.0


def test_a_broker_killed_under_load_costs_nothing_but_time(
    pair_on: MakePair, mortal_postgres: PrivatePostgres, mortal_rabbitmq: PrivateRabbitMQ, figure: Figure
) -> None:
    """S4-26."""
    pair = pair_on(mortal_postgres, mortal_rabbitmq)
    # RabbitMQ 3.10 forgets a quorum queue that is killed before its node was once shut down in order.
    mortal_rabbitmq.restart()
    workers = [pair.start(PRODUCER), pair.start(CONSUMER)]

    with pair.commands() as commands:
        commands.more(50)
        mortal_rabbitmq.kill()
        commands.more(50)
        mortal_rabbitmq.start()
        figure("until answers come again", seconds_to_an_answer(pair, commands))
    pair.settle(commands)

    assert all(worker.alive for worker in workers)
    pair.assert_exactly_once(commands)


def test_a_database_killed_under_load_costs_nothing_but_time(
    pair_on: MakePair, mortal_postgres: PrivatePostgres, mortal_rabbitmq: PrivateRabbitMQ, figure: Figure
) -> None:
    pair = pair_on(mortal_postgres, mortal_rabbitmq)
    workers = [pair.start(PRODUCER), pair.start(CONSUMER)]

    with pair.commands() as commands:
        commands.more(50)
        mortal_postgres.kill()
        wait_until(lambda: commands.refused > 0)
        mortal_postgres.start()
        figure("until answers come again", seconds_to_an_answer(pair, commands))
    pair.settle(commands)

    assert all(worker.alive for worker in workers)
    pair.assert_exactly_once(commands)


def seconds_to_an_answer(pair: Pair, commands: Commands) -> float:
    """Return how long it takes until a command that is accepted from now on is answered."""
    started = time.monotonic()
    commands.more(1)
    newest = commands.accepted[-1]
    wait_until(lambda: newest in pair.answered(), RECOVERS_WITHIN, every=0.05)
    return time.monotonic() - started
