"""The gateway on a loop of the test's, put together as in every other run."""

import threading
from collections.abc import Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.bootstrap import bootstrap
from gateway.testing.client import Client
from gateway.testing.loop import LoopThread


class RunningGateway(Client):
    def __init__(self, loop: LoopThread, env: Mapping[str, str]) -> None:
        self._loop = loop
        self.stop = threading.Event()
        self._gateway = bootstrap(env, CollectorRegistry(), self.stop)
        self._runner = self._gateway.make_runner()
        super().__init__(loop.run(self._start()))

    @property
    def ready(self) -> bool:
        return self.get("/readyz").status == 200

    def close(self) -> None:
        """End it as SIGTERM does."""
        self._loop.run(self._runner.cleanup())

    async def _start(self) -> int:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port
