"""The composition root: web, worker, commands and tests get the service from here."""

import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry

from cleanup_service.config import Settings
from cleanup_service.http.cleanup import cleanup
from cleanup_service.http.reports import reports
from cleanup_service.messaging.subscriptions import subscriptions
from cleanup_service.parts import Parts
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import runs
from service_chassis.breaker import Breaker
from service_chassis.clients import Pool, ServiceClient
from service_chassis.clock import Clock, SystemClock
from service_chassis.database import Database
from service_chassis.http import Check, web_app
from service_chassis.logs import Log, make_log
from service_chassis.messaging.connect import connect
from service_chassis.metrics import Metrics
from service_chassis.revocation import LONGEST_FEED, RevocationList, RevocationPoller, feed_of
from service_chassis.scheduler import UnitJob, every
from service_chassis.service import Service
from service_chassis.tokens import KeySet, TokenVerifier
from service_chassis.unit_of_work import Units
from service_chassis.worker import Worker, WorkerParts

NAME = "cleanup-service"
ADVANCE_EVERY = timedelta(seconds=0.5)
PAUSE = timedelta(seconds=1)
"""How long user-service is left alone after failures; ended sessions must be known again soon after it is back."""


def bootstrap(
    env: Mapping[str, str], registry: CollectorRegistry, stop: threading.Event, *, clock: Clock | None = None
) -> Service:
    """Put the service together; nothing runs yet. Raises SettingsError."""
    settings = Settings.read(env)
    log = make_log(NAME, level=settings.log_level)
    metrics = Metrics(registry, NAME)
    database = Database(settings.database_url, pool_size=settings.database_pool)
    units = Units(database, UnitOfWork, clock or SystemClock())
    return Service(
        name=NAME,
        log=log,
        units=units,
        metrics=metrics,
        migrations=Path(__file__).parent / "migrations",
        make_web=lambda: _web(settings, units, metrics, log, stop),
        make_worker=lambda: _worker(settings, units, metrics, log, stop),
        bind=settings.bind,
        web_processes=settings.web_processes,
        web_threads=settings.web_threads,
        worker_bind=settings.worker_bind,
    )


def _web(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Flask:
    owner = ServiceClient(settings.user_service_url, breaker=Breaker("user-service", open_for=PAUSE))
    keys = KeySet(lambda: owner.get("/.well-known/jwks.json", dict[str, Any]))
    ended = RevocationList(units.clock)
    RevocationPoller(feed_of(_feed_client(settings)), ended, stop).start()
    verifier = TokenVerifier(
        keys,
        algorithm="RS256",
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        clock=units.clock,
    )
    return web_app(
        NAME,
        "Steward cleanup-service",
        units=units,
        verifier=verifier,
        revocations=ended,
        metrics=metrics,
        log=log,
        secret=settings.answers_secret,
        blueprints=[cleanup, reports],
        parts=Parts(settings),
        checks=[Check("keys", lambda: None if keys.load() else "No keys to verify tokens with.")],
    )


def _feed_client(settings: Settings) -> ServiceClient:
    # Ended sessions must be known again soon after user-service is back.
    breaker = Breaker("user-service revocations", open_for=timedelta(seconds=1))
    return ServiceClient(settings.user_service_url, breaker=breaker, transport=Pool(longest_body=LONGEST_FEED))


def _worker(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Worker:
    return Worker(
        WorkerParts(
            service=NAME,
            exchange="cleanup.events",
            units=units,
            broker=connect(settings.broker_url, name=NAME),
            subscriptions=subscriptions(),
            jobs=_jobs(settings, units.clock),
            log=log,
            metrics=metrics,
            stop=stop,
        )
    )


def _jobs(settings: Settings, clock: Clock) -> list[UnitJob]:
    due = partial(runs.start_when_due, policy=settings.policy, interval=settings.cleanup_interval, since=clock.now())
    advance = partial(runs.advance, policy=settings.policy)
    return [
        every(ADVANCE_EVERY, advance, name="runs.advance", when=runs.is_one_open),
        every(min(settings.cleanup_interval, timedelta(seconds=5)), due, name="cleanup_inactive_users"),
    ]
