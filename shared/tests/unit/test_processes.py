from dataclasses import dataclass

import pytest

from service_chassis.processes import Application


@dataclass
class Starting:
    """A worker process that has just begun to hear signals."""

    alive: bool = True


class Web(Application):
    def load(self) -> None:
        return None


@pytest.mark.parametrize("stopping", [True, False])
def test_a_process_that_starts_while_all_of_them_end_ends_too(*, stopping: bool) -> None:
    """gunicorn's signal is lost on a process that was forked a moment ago."""
    web, worker = Web({}), Starting()
    if stopping:
        web.end_all()

    web.cfg.post_worker_init(worker)

    assert worker.alive is not stopping
