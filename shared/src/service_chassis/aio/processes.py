"""Processes of an event-loop application under gunicorn, which binds, forks, watches and stops them."""

import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from types import FrameType
from typing import Any

from aiohttp.worker import GunicornUVLoopWebWorker, GunicornWebWorker
from gunicorn.glogging import Logger

from service_chassis.aio.runner import DrainingRunner
from service_chassis.processes import Application

STOPPED_WITHIN = 25
"""Seconds from SIGTERM to the end; orchestrators kill after 30."""

MakeRunner = Callable[[], Awaitable[DrainingRunner]]


class _Promptly:
    """Lets a worker see SIGTERM at once instead of within a second."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)  # type: ignore[misc]  # the class beside this one has it
        self._notify_waiter_done()  # type: ignore[attr-defined]  # as above


class Worker(_Promptly, GunicornWebWorker):
    pass


class UVLoopWorker(_Promptly, GunicornUVLoopWebWorker):
    pass


class _Log(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Leaves gunicorn's own lines to the handlers of the process."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class _Application(Application):
    def __init__(self, make_runner: MakeRunner, options: Mapping[str, Any]) -> None:
        self._make_runner = make_runner
        super().__init__(options)

    def load(self) -> MakeRunner:
        async def make_runner() -> DrainingRunner:
            runner = await self._make_runner()
            runner.is_last = lambda: self.all_end
            return runner

        return make_runner


def serve(make_runner: MakeRunner, *, port: int, processes: int) -> None:
    """Serve on every address of this machine until SIGTERM; each process makes its runner by itself, after the fork.

    `make_runner` is a coroutine function. Raises OSError when the port is taken.
    """
    options = {
        "bind": [f"fd://{_listener(port).detach()}"],
        "workers": processes,
        "worker_class": UVLoopWorker if find_spec("uvloop") else Worker,
        "graceful_timeout": STOPPED_WITHIN,
        "logger_class": _Log,
    }
    _Application(make_runner, options).run()


def _listener(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048)
    return socket.create_server(("", port), backlog=2048)
