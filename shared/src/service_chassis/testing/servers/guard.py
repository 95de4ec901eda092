"""Ends process trees, and does so even when whoever started them was killed.

As a program it runs beside the test process and reads from it which processes to watch. When told to end, or
when the test process is gone and its pipe closes, it ends what it watches and removes their data. It is
started by its path, so it imports the standard library only.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

POLLING_INTERVAL = 0.02
POLITE_SECONDS = 5


class Entry(NamedTuple):
    pid: int
    parent: int
    group: int


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds or the time is up; say whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLLING_INTERVAL)
    return True


def living_tree(root: int) -> list[int]:
    """Return the root, its process group and all their descendants, parents first.

    Group and descent are both needed: PostgreSQL's backends have sessions of their own, and an orphan has lost
    its parent.
    """
    table = list(_living())
    members = [entry.pid for entry in table if root in {entry.pid, entry.group}]
    for member in members:
        members += [entry.pid for entry in table if entry.parent == member and entry.pid not in members]
    return members


def freeze_tree(root: int) -> list[int]:
    """Stop every process of the tree; afterwards it cannot grow any more."""
    frozen: list[int] = []
    while fresh := [pid for pid in living_tree(root) if pid not in frozen]:
        _signal(fresh, signal.SIGSTOP)
        frozen += fresh
    return frozen


def thaw_tree(root: int) -> None:
    _signal(living_tree(root), signal.SIGCONT)


def kill_tree(root: int) -> None:
    """Kill every process of the tree at once and wait until none of them runs."""
    members = freeze_tree(root)
    _signal(members, signal.SIGKILL)
    wait_until(lambda: not any(entry.pid in members for entry in _living()), POLITE_SECONDS)


def end_tree(root: int, last: signal.Signals) -> None:
    """Let the root end the tree itself on its last signal, then kill what is left."""
    if last != signal.SIGKILL:
        thaw_tree(root)
        _signal([root], last)
        wait_until(lambda: not living_tree(root), POLITE_SECONDS)
    kill_tree(root)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _living() -> Iterator[Entry]:
    return _from_proc() if Path("/proc/self/stat").exists() else _from_ps()


def _from_proc() -> Iterator[Entry]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name stands in parentheses and may contain any character, these included.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            state, parent, group, threads = fields[0], int(fields[1]), int(fields[2]), int(fields[17])
            # A process looks dead as soon as its first thread is; the others may still hold its sockets.
            if state not in "ZX" or threads > 1:
                yield Entry(int(folder.name), parent, group)


def _from_ps() -> Iterator[Entry]:
    command = ["ps", "-A", "-o", "pid=,ppid=,pgid=,state="]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        pid, parent, group, state = line.split()
        if state[0] != "Z":
            yield Entry(int(pid), int(parent), int(group))


def main() -> None:
    """Read `watch PID SIGNAL`, `forget PID` and `end` from standard input, then end what is still watched."""
    folder = Path(sys.argv[1])
    watched: dict[int, signal.Signals] = {}
    for line in sys.stdin:
        match line.split():
            case ["watch", pid, last]:
                watched[int(pid)] = signal.Signals(int(last))
            case ["forget", pid]:
                watched.pop(int(pid), None)
            case _:
                break
    for pid, last in watched.items():
        end_tree(pid, last)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
