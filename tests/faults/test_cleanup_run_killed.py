import random

import pytest

from tests.faults.chance import a_while
from tests.running.cleanup import OPEN, CleanupRun
from tests.running.native import WORKERS, Native
from tests.running.people import crowd
from tests.running.settled import assert_reconciled, assert_settled

pytestmark = pytest.mark.servers

KILLS = 4


def test_a_cleanup_run_whose_workers_are_killed_at_random_moments_reconciles(native: Native) -> None:
    choice = random.Random(20)
    people = crowd(12_000, inactive=0.9)
    native.take_in(people)
    run = CleanupRun.triggered(native)

    kills = 0
    while kills < KILLS and run.status in OPEN:
        a_while(choice, 0.6)
        name = choice.choice(WORKERS)
        native.programs[name].kill()
        kills += run.status in OPEN
        native.start(name)
    run.finished()

    assert kills > 1
    assert_reconciled(run, people)
    assert_settled(native)
