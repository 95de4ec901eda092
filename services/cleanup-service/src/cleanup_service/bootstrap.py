"""The composition root: web, worker, commands and tests get the service from here."""

import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from flask import Flask
from prometheus_client import CollectorRegistry

from cleanup_service import commands, jobs
from cleanup_service.config import NAME, Settings
from cleanup_service.http.cleanup import cleanup
from cleanup_service.http.reports import reports
from cleanup_service.messaging.subscriptions import subscriptions
from cleanup_service.parts import Parts
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import runs
from service_chassis.clock import Clock, SystemClock
from service_chassis.database import Database
from service_chassis.http import Check, web_app
from service_chassis.logs import Log, make_log
from service_chassis.messaging.connect import connect
from service_chassis.metrics import Metrics
from service_chassis.scheduler import Job, UnitJob, every
from service_chassis.service import Service
from service_chassis.trust import Trust
from service_chassis.unit_of_work import Units
from service_chassis.worker import Worker, WorkerParts

ADVANCE_EVERY = timedelta(seconds=1)


def bootstrap(
    env: Mapping[str, str], registry: CollectorRegistry, stop: threading.Event, *, clock: Clock | None = None
) -> Service:
    """Put the service together; nothing runs yet. Raises SettingsError."""
    settings = Settings.read(env)
    runtime = settings.runtime
    log = make_log(NAME, level=runtime.log_level, form=runtime.log_format)
    metrics = Metrics(registry, NAME)
    database = Database(runtime.database_url, pool_size=runtime.database_pool)
    units = Units(database, UnitOfWork, clock or SystemClock())
    return Service(
        name=NAME,
        log=log,
        units=units,
        metrics=metrics,
        migrations=Path(__file__).parent / "migrations",
        make_web=lambda: _web(settings, units, metrics, log, stop),
        make_worker=lambda: _worker(settings, units, metrics, log, stop),
        parts=Parts(settings),
        runtime=runtime,
        unread_settings=settings.unread,
    )


def _web(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Flask:
    trust = Trust.in_user_service(settings.user_service_url, settings.runtime, units.clock, stop)
    return web_app(
        NAME,
        "Steward cleanup-service",
        units=units,
        verifier=trust.verifier,
        revocations=trust.revocations,
        metrics=metrics,
        log=log,
        secret=settings.answers_secret,
        blueprints=[cleanup, reports],
        parts=Parts(settings),
        checks=[Check("keys", trust.missing)],
    )


def _worker(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Worker:
    return Worker(
        WorkerParts(
            service=NAME,
            exchange="cleanup.events",
            units=units,
            broker=connect(settings.runtime.broker_url, name=NAME),
            breaker=settings.runtime.breaker,
            subscriptions=subscriptions(),
            jobs=_jobs(settings, units, log),
            log=log,
            metrics=metrics,
            stop=stop,
        )
    )


def _jobs(settings: Settings, units: Units[UnitOfWork], log: Log) -> list[Job | UnitJob]:
    due = partial(
        runs.start_when_due, policy=settings.policy, interval=settings.cleanup_interval, since=units.clock.now()
    )
    return [
        Job("runs.advance", ADVANCE_EVERY, partial(jobs.advance, units, settings.policy, log)),
        every(min(settings.cleanup_interval, timedelta(seconds=5)), due, name="cleanup_inactive_users"),
    ]


COMMANDS = (commands.cleanup_inactive_users,)
