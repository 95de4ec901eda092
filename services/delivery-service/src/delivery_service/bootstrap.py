"""The composition root: web, worker, commands and tests get the service from here."""

import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from flask import Flask
from prometheus_client import CollectorRegistry

from delivery_service import commands
from delivery_service.config import NAME, Settings
from delivery_service.dispatch.dispatcher import Dispatcher
from delivery_service.dispatch.dispatching import Dispatching
from delivery_service.dispatch.lane import Manner
from delivery_service.egress.rules import EgressRules
from delivery_service.egress.sender import Sender as RequestSender
from delivery_service.http.demo import demo
from delivery_service.http.templates import templates
from delivery_service.mailer import Mailer, Transport
from delivery_service.mailing.folder import MailFolder
from delivery_service.mailing.message import Sender
from delivery_service.mailing.smtp import SmtpServer
from delivery_service.mailing.templates import Templates
from delivery_service.messaging.subscriptions import subscriptions
from delivery_service.model.schedule import Schedule
from delivery_service.parts import Parts
from delivery_service.persistence.unit_of_work import UnitOfWork
from delivery_service.usecases import mails
from service_chassis.clock import Clock, SystemClock
from service_chassis.database import Database
from service_chassis.http import Check, web_app
from service_chassis.logs import Log, make_log
from service_chassis.messaging.connect import connect
from service_chassis.metrics import Metrics
from service_chassis.scheduler import every
from service_chassis.sealing import Seal
from service_chassis.service import Service
from service_chassis.trust import Trust
from service_chassis.unit_of_work import Units
from service_chassis.worker import Worker, WorkerParts


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
    parts = Parts(settings, Templates(settings.public_url), MailFolder(settings.mail_folder))
    return Service(
        name=NAME,
        log=log,
        units=units,
        metrics=metrics,
        migrations=Path(__file__).parent / "migrations",
        make_web=lambda: _web(parts, units, metrics, log, stop),
        make_worker=lambda: _worker(parts, units, metrics, log, stop),
        parts=parts,
        runtime=runtime,
        unread_settings=settings.unread,
    )


def _web(parts: Parts, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Flask:
    settings = parts.settings
    trust = Trust.in_user_service(settings.user_service_url, settings.runtime, units.clock, stop)
    return web_app(
        NAME,
        "Steward delivery-service",
        units=units,
        verifier=trust.verifier,
        revocations=trust.revocations,
        metrics=metrics,
        log=log,
        secret=settings.answers_secret,
        blueprints=[templates, demo] if settings.demo else [templates],
        parts=parts,
        checks=[Check("keys", trust.missing)],
    )


def _worker(parts: Parts, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Worker:
    return Worker(
        WorkerParts(
            service=NAME,
            exchange="delivery.events",
            units=units,
            broker=connect(parts.settings.runtime.broker_url, name=NAME),
            breaker=parts.settings.runtime.breaker,
            subscriptions=subscriptions(parts.folder),
            jobs=[every(timedelta(hours=1), partial(mails.forget, folder=parts.folder), name="mails.forget")],
            loops={
                "mailer": mailer(parts, units, log, stop).run,
                "dispatch": dispatching(parts.settings, units, log, stop).run,
            },
            log=log,
            metrics=metrics,
            stop=stop,
        )
    )


def dispatching(settings: Settings, units: Units[UnitOfWork], log: Log, stop: threading.Event) -> Dispatching:
    """Return what sends to destinations."""
    egress = settings.egress
    manner = Manner(
        Schedule(settings.retry_schedule),
        timeout=egress.timeout.total_seconds(),
        in_flight=egress.in_flight,
        breaker=egress.breaker,
    )
    rules = EgressRules(egress.allowed_networks, egress.ports, egress.https_only)

    def make() -> Dispatcher:
        seal = Seal(settings.answers_secret, "destinations")
        return Dispatcher(units, RequestSender(rules), manner, seal=seal, log=log, stop=threading.Event())

    return Dispatching(make, stop)


def mailer(parts: Parts, units: Units[UnitOfWork], log: Log, stop: threading.Event) -> Mailer:
    """Return what sends the mails of a worker."""
    settings = parts.settings
    return Mailer(
        units=units,
        templates=parts.templates,
        seal=Seal(settings.notification_secret, "notifications"),
        sender=Sender(settings.mail_from, f"{settings.public_url}/preferences"),
        transport=_transport(parts),
        schedule=settings.retry_schedule,
        log=log,
        stop=stop,
    )


def _transport(parts: Parts) -> Transport:
    url = parts.settings.smtp_url
    return parts.folder if url is None else SmtpServer(url, parts.settings.smtp_timeout.total_seconds())


COMMANDS = (commands.mail,)
