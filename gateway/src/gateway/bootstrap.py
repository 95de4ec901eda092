"""Composition root: the gateway put together from an environment, a registry and a stop event."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway.app import Parts, make_app
from gateway.config import Settings
from gateway.connections import UpstreamFailed
from gateway.identity import Identity
from gateway.metrics import UpstreamMetrics
from gateway.routes import DEMO_ROUTES, ROUTES
from gateway.routing import RouteTable
from gateway.upstream import Upstream
from service_chassis.aio import DrainingRunner, Flow, Observation
from service_chassis.breaker import Breaker, State
from service_chassis.logs import Log, make_log
from service_chassis.metrics import Metrics

LONGEST_END = timedelta(seconds=16)
"""How long requests under way may take when the process ends, whatever their deadline; with the grace it stays below
the 25 s in which the whole process has to end."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway, wired; application and runner are made on the loop that serves them."""

    settings: Settings
    log: Log
    parts: Parts

    def make_app(self) -> web.Application:
        """Return the application."""
        return make_app(self.parts)

    def make_runner(self) -> DrainingRunner:
        """Return what serves the application and ends without losing a request."""
        within = min(self.settings.deadline + timedelta(seconds=1), LONGEST_END)
        return DrainingRunner(self.make_app(), self.parts.flow, grace=self.settings.drain_grace, within=within)


def bootstrap(env: Mapping[str, str], registry: CollectorRegistry, stop: threading.Event) -> Gateway:
    """Put the gateway together; once `stop` is set it says that it is about to end. Raises SettingsError."""
    settings = Settings.read(env)
    log = make_log("gateway", level=settings.log_level, form=settings.log_format)
    if settings.unread:
        log.warning("settings_not_read", names=list(settings.unread))
    metrics, of_upstreams = Metrics(registry, "gateway"), UpstreamMetrics(registry)
    identity = Identity(settings)
    of_upstreams.watch_feed(lambda: identity.revocations.age)
    parts = Parts(
        settings=settings,
        registry=registry,
        metrics=metrics,
        observation=Observation(log, metrics),
        flow=Flow(stop),
        identity=identity,
        upstreams=_upstreams(settings, metrics, of_upstreams, log),
        table=RouteTable(ROUTES + DEMO_ROUTES if settings.demo else ROUTES),
    )
    return Gateway(settings, log, parts)


def _upstreams(settings: Settings, metrics: Metrics, of_upstreams: UpstreamMetrics, log: Log) -> dict[str, Upstream]:
    upstreams = {}
    for service, origin in settings.services.items():
        breaker = Breaker(service, settings.breaker, counts=lambda error: isinstance(error, UpstreamFailed))
        metrics.watch(breaker)
        breaker.on_change(partial(_log_change, log, service))
        upstreams[service] = Upstream(service, origin, breaker, of_upstreams, settings.upstream_requests)
    return upstreams


def _log_change(log: Log, service: str, state: State) -> None:
    log.warning("breaker_changed", service=service, state=state.value)
