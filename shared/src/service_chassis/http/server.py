"""How a service's web is served in production: gunicorn with threads; the worker's health pages by cheroot."""

import threading
from typing import Any

from cheroot.wsgi import Server
from flask import Flask, Response, jsonify
from gunicorn.workers.gthread import ThreadWorker
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service_chassis.listening import deafen
from service_chassis.processes import Application
from service_chassis.service import Service
from service_chassis.worker import Worker

GRACE = 20
"""Seconds requests in flight are given to end after SIGTERM; more than any request may take."""
KEEP_ALIVE = 30
"""Seconds an idle connection stays open: longer than the gateway keeps it, so the gateway closes first."""
SILENT_AFTER = 30.0


class _Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Takes in what is waiting when it is told to stop, and then nothing more.

    gunicorn's own leaves the socket open until its last answer is out, and what connected meanwhile is reset.
    """

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001  # gunicorn's signature
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                if self.app.all_end:
                    deafen(listener.sock)
                self._take_in(listener)
                listener.close()

    def _take_in(self, listener: Any) -> None:
        known = -1
        while known < self.nr_conns:
            known = self.nr_conns
            self.accept(listener)


class _Application(Application):
    def __init__(self, service: Service) -> None:
        self._service = service
        options = {
            "bind": service.runtime.bind,
            "workers": service.runtime.web_processes,
            "threads": service.runtime.web_threads,
            "worker_class": _Worker,
            "graceful_timeout": GRACE,
            "timeout": 30,
            "keepalive": KEEP_ALIVE,
            "accesslog": None,
            "errorlog": "-",
            # Otherwise whoever is on this machine says by headers which path and which scheme a request has.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "secure_scheme_headers": {},
        }
        super().__init__(options)

    def load(self) -> Flask:
        # Connections opened before the fork belong to the parent.
        self._service.database.forked()
        return self._service.make_web()


def serve(service: Service) -> None:
    """Answer requests until SIGTERM."""
    _Application(service).run()


def serve_worker(service: Service, worker: Worker, registry: Any) -> Server:
    """Serve the health and metrics of a worker in a thread of its own."""
    host, _, port = (service.runtime.worker_bind or "").rpartition(":")
    server = Server((host or "127.0.0.1", int(port)), worker_app(service, worker, registry), numthreads=2)
    server.prepare()
    threading.Thread(target=server.serve, name="worker-health", daemon=True).start()
    return server


def worker_app(service: Service, worker: Worker, registry: Any) -> Flask:
    """Return the pages by which a worker is watched."""
    app = Flask(f"{service.name}-worker", static_folder=None)

    @app.get("/livez")
    def livez() -> tuple[Response, int]:
        return jsonify(service=service.name, age_seconds=round(worker.age, 1)), 200 if worker.alive else 503

    @app.get("/readyz")
    def readyz() -> tuple[Response, int]:
        reached = {"broker": _heard(worker.broker_age), "database": _heard(worker.database_age)}
        ready = worker.alive and all(reached.values())
        return jsonify(service=service.name, reached=reached), 200 if ready else 503

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return app


def _heard(age: float | None) -> bool:
    return age is not None and age < SILENT_AFTER
