"""Programs run for the tests: each in a session of its own, guarded, with its output in a file."""

import os
import pwd
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from service_chassis.testing.servers import guard
from service_chassis.testing.servers.guard import wait_until

PORTS = range(20_000, 32_000)
"""Below the ports systems give to outgoing connections: a client that keeps trying to reach a stopped server
there can be connected to itself, and the server does not get its port back."""

STOP_SECONDS = 60
LOG_LINES = 20


class ServerError(Exception):
    """A server the tests need is missing, cannot be used or does not start."""


def free_port(*, besides: Collection[int] = ()) -> int:
    """Return a port of 127.0.0.1 nobody listens on, and none of those set aside already."""
    for port in random.sample(sorted(set(PORTS).difference(besides)), k=100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError(f"No port between {PORTS.start} and {PORTS.stop} is free.")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Guard:
    """The helper process that ends the watched ones and removes their folder, whatever becomes of this process."""

    def __init__(self, folder: Path) -> None:
        self._watched: list[subprocess.Popen[bytes]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            text=True,
            start_new_session=True,
        )

    def watch(self, process: subprocess.Popen[bytes], last_signal: signal.Signals) -> None:
        self._tell(f"watch {process.pid} {last_signal.value}")
        self._watched.append(process)

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        self._tell(f"forget {process.pid}")
        self._watched.remove(process)

    def end(self) -> None:
        """End what is watched; a closed pipe would not do, because forked children of ours hold it open."""
        self._tell("end")
        self._process.communicate()
        for process in self._watched:
            process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


class Process:
    """A running program with everything it starts."""

    def __init__(
        self,
        command: Sequence[object],
        folder: Path,
        *,
        guard: Guard,
        last_signal: signal.Signals = signal.SIGKILL,
        env: Mapping[str, str] | None = None,
        account: pwd.struct_passwd | None = None,
    ) -> None:
        self._log = folder / "output.log"
        self._guard = guard
        with self._log.open("ab") as output:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        guard.watch(self._popen, last_signal)

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until the condition holds; raises ServerError if the program ends first or takes too long."""
        done = wait_until(lambda: self._popen.poll() is not None or condition(), seconds)
        if done and self._popen.poll() is None:
            return
        ending = f"ended with status {self._popen.returncode}" if done else f"is not ready after {seconds:g} s"
        raise ServerError(f"{self._popen.args!r} {ending}. The end of its output:\n{self._last_lines()}")

    def succeed(self, seconds: float) -> None:
        """Wait for the end of a program that does one thing; raises ServerError unless it succeeded."""
        self._ended_within(seconds)
        if self._popen.returncode != 0:
            raise ServerError(f"{self._popen.args!r} failed. The end of its output:\n{self._last_lines()}")

    def stop(self, request: signal.Signals) -> None:
        """Ask the program to stop and wait for it; raises ServerError if it had to be killed."""
        self.thaw()
        self._popen.send_signal(request)
        if not self._ended_within(STOP_SECONDS):
            raise ServerError(f"{self._popen.args!r} did not stop within {STOP_SECONDS} s and was killed.")

    def kill(self) -> None:
        guard.kill_tree(self._popen.pid)
        self._popen.wait()
        self._guard.forget(self._popen)

    def freeze(self) -> None:
        guard.freeze_tree(self._popen.pid)

    def thaw(self) -> None:
        guard.thaw_tree(self._popen.pid)

    def _ended_within(self, seconds: float) -> bool:
        ended = wait_until(lambda: self._popen.poll() is not None, seconds)
        if ended:
            self._guard.forget(self._popen)
        else:
            self.kill()
        return ended

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def ordinary_account() -> pwd.struct_passwd | None:
    """Return an account for a program that refuses root, or None where we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody", "daemon"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerError("PostgreSQL refuses to run as root, and no user postgres, nobody or daemon exists.")
