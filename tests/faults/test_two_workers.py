"""Two workers of one service, started at once: one publishes, one runs the jobs, and the other one takes over."""

import time
from itertools import pairwise

import pytest

from service_chassis.testing.waiting import wait_until
from tests.conftest import Figure
from tests.faults.pair import Pair
from tests.faults.rig import CONSUMER, PRODUCER
from tests.running.programs import Program

pytestmark = pytest.mark.servers

TAKES_OVER_WITHIN = 10.0
ROLES = {"relay": "published", "scheduler": "ticked"}


@pytest.mark.parametrize("role", ROLES)
def test_of_two_workers_one_is_active_and_the_other_takes_over_when_it_is_killed(
    pair: Pair, role: str, figure: Figure
) -> None:
    act = ROLES[role]
    workers = [pair.launch(PRODUCER, name) for name in ("first", "second")]
    pair.start(CONSUMER)

    with pair.commands() as commands:
        wait_until(lambda: all(worker.lines() for worker in workers), 20)
        commands.more(200)
        holder = active(pair, act, workers)
        others = [worker for worker in workers if worker is not holder]
        holder.kill()
        killed_at = time.monotonic()
        wait_until(lambda: active(pair, act, workers) in others, TAKES_OVER_WITHIN)
        commands.more(50)
    pair.settle(commands)

    taken_over_at = next(line["at"] for line in pair.told(PRODUCER, act) if line["pid"] != holder.pid)
    figure(f"to take over as {role}", taken_over_at - killed_at)
    assert changes_of_hands(pair, act) == 1
    pair.assert_exactly_once(commands)


def active(pair: Pair, act: str, workers: list[Program]) -> Program:
    """Return the process that was the last to do what only one may do."""
    wait_until(lambda: pair.told(PRODUCER, act), 20)
    last = pair.told(PRODUCER, act)[-1]["pid"]
    return next(worker for worker in workers if worker.pid == last)


def changes_of_hands(pair: Pair, act: str) -> int:
    """Return how often what only one may do was done by another process than before."""
    doers = [line["pid"] for line in pair.told(PRODUCER, act)]
    return sum(before != after for before, after in pairwise(doers))
