"""The embedded run: every service's web and worker and the gateway in one process, on files under one folder.

It is the same code that runs in production; only the URLs differ, and the services find each other on loopback ports.
"""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from cheroot.wsgi import Server
from prometheus_client import CollectorRegistry

import cleanup_service.bootstrap
import delivery_service.bootstrap
import gateway.bootstrap
import task_service.bootstrap
import user_service.bootstrap
from devstack.credentials import with_gateway_secret, with_service_clients
from service_chassis.database.locks import FileLock
from service_chassis.service import Service
from service_chassis.worker import Worker

SERVERS = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "SMTP_URL")
"""Settings of the other ways to run, which must not leak into this one."""
WEB_THREADS = 8
CONNECTIONS_WAITING = 512
"""Connections the kernel keeps for a service until a thread takes them: more than the gateway opens at a time."""
BOOTSTRAPS = {
    "USER": user_service.bootstrap,
    "CLEANUP": cleanup_service.bootstrap,
    "TASK": task_service.bootstrap,
    "DELIVERY": delivery_service.bootstrap,
}
"""The services by the beginning of their settings' names; the first is the one the others call."""


class AlreadyRunning(Exception):
    """Another process serves from this folder."""


class Embedded:
    """All of Steward, started and stopped in order: services first to start, gateway first to stop."""

    def __init__(self, env: Mapping[str, str], data: Path) -> None:
        own = {key: value for key, value in env.items() if key not in SERVERS} | {
            "STEWARD_DATA": str(data),
            "WEB_PROCESSES": "1",
        }
        self._env = with_gateway_secret(with_service_clients(own))
        self._stop = threading.Event()
        self._lock = FileLock(data / "running.lock")
        self._services: list[Service] = []
        self._workers: list[Worker] = []
        self._servers: list[Server] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> Mapping[str, str]:
        """Migrate, seed and start all services; return the environment in which the gateway finds them.

        Raises AlreadyRunning.
        """
        if not self._lock.acquire():
            raise AlreadyRunning
        env = dict(self._env)
        for name, bootstrap in BOOTSTRAPS.items():
            service = bootstrap.bootstrap(env, CollectorRegistry(), self._stop)
            service.warn_of_unread_settings()
            service.migrate()
            self._services.append(service)
            env[f"{name}_SERVICE_URL"] = self._serve(service)
        self._workers = [service.make_worker() for service in self._services]
        # Before anything is published: an event does not reach a queue that is bound after it.
        for worker in self._workers:
            worker.declare()
        for worker in self._workers:
            worker.start()
        return env

    def stop(self) -> None:
        """End web servers, then workers, then databases."""
        for server in self._servers:
            server.stop()
        for worker in self._workers:
            worker.stop()
        for service in self._services:
            service.close()
        self._lock.release()

    def _serve(self, service: Service) -> str:
        server = Server(
            ("127.0.0.1", 0),
            service.make_web(),
            numthreads=WEB_THREADS,
            shutdown_timeout=5,
            request_queue_size=CONNECTIONS_WAITING,
        )
        server.prepare()
        thread = threading.Thread(target=server.serve, name=f"{service.name}-web", daemon=True)
        thread.start()
        self._servers.append(server)
        self._threads.append(thread)
        address = f"http://127.0.0.1:{server.bind_addr[1]}"
        service.log.info("web_started", address=address)
        return address


class Stack:
    """The embedded services with the gateway in front, on the caller's event loop."""

    def __init__(self, env: Mapping[str, str], data: Path, port: int, host: str | None = None) -> None:
        # Links in mails lead to where the gateway is.
        self._embedded = Embedded({**env, "GATEWAY_PORT": str(port)} if port else env, data)
        self._port = port
        self._hosts = [host] if host else ["127.0.0.1", "::1"]
        self._runner: web.AppRunner | None = None
        self._gateway: Any = None
        self._stopping = threading.Event()
        self.port = port

    async def start(self) -> None:
        """Serve; raises AlreadyRunning, or OSError when the port is taken."""
        env = await asyncio.to_thread(self._embedded.start)
        self._gateway = gateway.bootstrap.bootstrap(env, CollectorRegistry(), self._stopping)
        self._runner = self._gateway.make_runner()
        await self._runner.setup()
        self.port = await self._listen(self._runner)

    async def stop(self) -> None:
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self._embedded.stop)

    async def _listen(self, runner: web.AppRunner) -> int:
        port = self._port
        for position, host in enumerate(self._hosts):
            site = web.TCPSite(runner, host, port)
            try:
                await site.start()
            except OSError:
                # A machine without IPv6 serves on IPv4 alone; the first address must work.
                if position == 0:
                    raise
                continue
            server: Any = site._server  # noqa: SLF001  # aiohttp tells a port chosen by the system nowhere else.
            port = server.sockets[0].getsockname()[1]
        return port
