"""Processes of a web under gunicorn, which binds, forks, watches and stops them."""

import mmap
from collections.abc import Mapping
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from service_chassis.process import OTHERS_MASK

COMMON = {"loglevel": "warning", "control_socket_disable": True, "umask": OTHERS_MASK}


class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn runs; its processes know whether all of them end or only they themselves."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = COMMON | dict(options) | {"post_worker_init": self._end_late_one}
        # One byte of memory that stays common after the fork.
        self._all_end = mmap.mmap(-1, 1)
        super().__init__()

    @property
    def all_end(self) -> bool:
        """Say whether no process is going to listen any more, so that the last has to see to who is waiting."""
        return self._all_end[0] != 0

    def end_all(self) -> None:
        self._all_end[0] = 1

    def _end_late_one(self, worker: Any) -> None:
        """End a process that was forked just before the others were told to end, and could not hear it yet."""
        if self.all_end:
            worker.alive = False

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        _Arbiter(self).run()


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002  # gunicorn's signature
        self.app.end_all()
        super().stop(graceful)
