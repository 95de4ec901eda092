"""One process of Steward: started, stopped, paused and killed, with its log to read."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service_chassis.testing.servers.guard import freeze_tree, kill_tree, thaw_tree
from service_chassis.testing.servers.process import Guard
from service_chassis.testing.waiting import wait_until

NEEDED = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
STOPS_WITHIN = 25.0
"""Seconds a process has from SIGTERM to its end."""


class Program:
    """A Python program in a process group of its own; `guard` ends it whatever becomes of the tests."""

    def __init__(self, arguments: Sequence[object], env: Mapping[str, str], log: Path, guard: Guard) -> None:
        self._log = log
        self._guard = guard
        self._begins_at = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                env={**inherited(), **env},
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard.watch(self._popen, signal.SIGKILL)
        self._guarded = True

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def ended_by(self, within: float) -> int:
        """Wait for the end and return the exit status, which is the negative number of a fatal signal."""
        wait_until(lambda: not self.alive, within)
        self._forget()
        status: int = self._popen.returncode
        return status

    def terminate(self) -> float:
        """Ask it to stop, as orchestrators do; return how many seconds that took. Its exit status must be 0."""
        started = time.monotonic()
        self._popen.send_signal(signal.SIGTERM)
        status = self.ended_by(STOPS_WITHIN)
        assert status == 0, f"{self} ended with status {status}:\n{self.last_lines()}"
        return time.monotonic() - started

    def kill(self) -> None:
        """Kill it and all it has started at once, with no chance to finish anything; it may have ended before."""
        if self.alive:
            kill_tree(self.pid)
        self.ended_by(5)

    def pause(self) -> None:
        freeze_tree(self.pid)

    def resume(self) -> None:
        thaw_tree(self.pid)

    def text(self) -> str:
        """Return its output."""
        with self._log.open("rb") as log:
            log.seek(self._begins_at)
            return log.read().decode(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Return what of its output is structured log."""
        return [json.loads(line) for line in self.text().splitlines() if line[:1] == "{" and line[-1:] == "}"]

    def last_lines(self) -> str:
        return "\n".join(self.text().splitlines()[-20:])

    def __str__(self) -> str:
        return self._log.stem

    def _forget(self) -> None:
        if self._guarded:
            self._guarded = False
            self._guard.forget(self._popen)


def inherited() -> dict[str, str]:
    """Return the part of our environment that has nothing to do with Steward's settings."""
    return {name: os.environ[name] for name in NEEDED if name in os.environ}
