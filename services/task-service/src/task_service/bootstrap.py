"""The composition root: web, worker, commands and tests get the service from here."""

import threading
from collections.abc import Mapping
from pathlib import Path

from flask import Flask
from prometheus_client import CollectorRegistry

from service_chassis.clients import ClientCredentials
from service_chassis.clock import Clock, SystemClock
from service_chassis.database import Database
from service_chassis.http import Check, web_app
from service_chassis.logs import Log, make_log
from service_chassis.messaging.connect import connect
from service_chassis.metrics import Metrics
from service_chassis.service import Service
from service_chassis.trust import Trust, client_of
from service_chassis.unit_of_work import Units
from service_chassis.worker import Worker, WorkerParts
from task_service import commands
from task_service.config import NAME, Settings
from task_service.http.alerts import alerts
from task_service.http.consequences import consequences
from task_service.http.tasks import tasks
from task_service.jobs import Sweeping
from task_service.messaging.subscriptions import subscriptions
from task_service.parts import Parts
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases.directory import Directory


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
    parts = Parts(settings, _directory(settings, metrics))
    return Service(
        name=NAME,
        log=log,
        units=units,
        metrics=metrics,
        migrations=Path(__file__).parent / "migrations",
        make_web=lambda: _web(parts, units, metrics, log, stop),
        make_worker=lambda: _worker(settings, units, metrics, log, stop),
        parts=parts,
        runtime=runtime,
        unread_settings=settings.unread,
    )


def _directory(settings: Settings, metrics: Metrics) -> Directory:
    url, rules = settings.user_service_url, settings.runtime.breaker
    owner = client_of(url, rules, ClientCredentials(client_of(url, rules), NAME, settings.client_secret))
    metrics.watch(owner.breaker)
    return Directory(owner)


def _web(parts: Parts, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Flask:
    settings = parts.settings
    trust = Trust.in_user_service(settings.user_service_url, settings.runtime, units.clock, stop)
    return web_app(
        NAME,
        "Steward task-service",
        units=units,
        verifier=trust.verifier,
        revocations=trust.revocations,
        metrics=metrics,
        log=log,
        secret=settings.answers_secret,
        blueprints=[tasks, alerts, consequences],
        parts=parts,
        checks=[Check("keys", trust.missing)],
    )


def _worker(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Worker:
    return Worker(
        WorkerParts(
            service=NAME,
            exchange="task.events",
            units=units,
            broker=connect(settings.runtime.broker_url, name=NAME),
            breaker=settings.runtime.breaker,
            subscriptions=subscriptions(),
            jobs=[Sweeping(units, settings, log).job()],
            log=log,
            metrics=metrics,
            stop=stop,
        )
    )


COMMANDS = (commands.auto_update_tasks,)
