"""kill -9 at the steps where a crash hurts most: every command has its event, and every event its effect once."""

import signal

import pytest

from tests.faults.pair import Pair
from tests.faults.rig import CONSUMER, PRODUCER

pytestmark = pytest.mark.servers

KILLED = -signal.SIGKILL


@pytest.mark.parametrize("step", ["received", "written", "committed", "acknowledged"])
def test_a_worker_killed_at_a_step_of_handling_has_every_effect_once(pair: Pair, step: str) -> None:
    pair.start(PRODUCER)
    doomed = pair.launch(CONSUMER, die=step, times=5)

    with pair.commands() as commands:
        status = doomed.ended_by(20)
        pair.start(CONSUMER)
        commands.more(50)
    pair.settle(commands)

    assert status == KILLED
    # Only an acknowledgement may have reached the broker before the end, and may not.
    assert pair.repeated(CONSUMER, "received") > 0 or step == "acknowledged"
    pair.assert_exactly_once(commands)


@pytest.mark.parametrize("service", [PRODUCER, CONSUMER])
def test_a_relay_killed_between_publishing_and_marking_publishes_again_and_nothing_happens_twice(
    pair: Pair, service: str
) -> None:
    other = CONSUMER if service == PRODUCER else PRODUCER
    pair.start(other)
    doomed = pair.launch(service, die="published", times=5)

    with pair.commands() as commands:
        status = doomed.ended_by(20)
        pair.start(service)
        commands.more(50)
    pair.settle(commands)

    assert status == KILLED
    assert pair.repeated(service, "published") > 0
    assert pair.repeated(other, "received") > 0
    pair.assert_exactly_once(commands)
