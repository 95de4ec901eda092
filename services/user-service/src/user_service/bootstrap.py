"""The composition root: web, worker, commands and tests get the service from here."""

import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from flask import Flask
from prometheus_client import CollectorRegistry

from service_chassis.clock import Clock, SystemClock
from service_chassis.database import Database
from service_chassis.http import web_app
from service_chassis.logs import Log, make_log
from service_chassis.messaging.connect import connect
from service_chassis.metrics import Metrics
from service_chassis.revocation import Feed, RevocationList, RevocationPoller
from service_chassis.scheduler import every
from service_chassis.service import Service
from service_chassis.tokens import KeySet, TokenVerifier
from service_chassis.unit_of_work import Units
from service_chassis.worker import Worker, WorkerParts
from user_service import commands
from user_service.config import Settings
from user_service.http.auth import auth
from user_service.http.users import users
from user_service.http.verifiers import verifiers
from user_service.messaging.subscriptions import subscriptions
from user_service.model.passwords import Passwords
from user_service.model.signing import ALGORITHM, TokenRules
from user_service.parts import Parts
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import activity, revocations
from user_service.usecases.seeding import seed
from user_service.usecases.sign_in import SignIn
from user_service.usecases.tokens import SigningKeys, Tokens

NAME = "user-service"


def bootstrap(
    env: Mapping[str, str], registry: CollectorRegistry, stop: threading.Event, *, clock: Clock | None = None
) -> Service:
    """Put the service together; nothing runs yet. Raises SettingsError."""
    settings = Settings.read(env)
    log = make_log(NAME, level=settings.log_level)
    metrics = Metrics(registry, NAME)
    database = Database(settings.database_url, pool_size=settings.database_pool)
    units = Units(database, UnitOfWork, clock or SystemClock())
    parts = _parts(settings, units)
    return Service(
        name=NAME,
        log=log,
        units=units,
        metrics=metrics,
        migrations=Path(__file__).parent / "migrations",
        make_web=lambda: _web(parts, units, metrics, log, stop),
        make_worker=lambda: _worker(settings, units, metrics, log, stop),
        seed=lambda: seed(units, settings.key_encryption_secret, parts.passwords, demo=settings.demo),
        parts=parts,
        bind=settings.bind,
        web_processes=settings.web_processes,
        web_threads=settings.web_threads,
        worker_bind=settings.worker_bind,
    )


def _parts(settings: Settings, units: Units[UnitOfWork]) -> Parts:
    secret = settings.key_encryption_secret
    passwords = Passwords(memory_kib=settings.argon2_memory_kib, passes=settings.argon2_passes)
    rules = TokenRules(settings.token_issuer, settings.token_audience, settings.access_token_lifetime)
    tokens = Tokens(SigningKeys(units, secret), rules, secret, settings.refresh_token_lifetime)
    return Parts(settings, passwords, tokens, SignIn(units, passwords, tokens))


def _web(parts: Parts, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Flask:
    settings = parts.settings
    ended = RevocationList(units.clock)
    RevocationPoller(lambda after: _feed(units, after), ended, stop).start()
    verifier = TokenVerifier(
        KeySet(parts.tokens.keys.jwks, lifetime=timedelta(seconds=30)),
        algorithm=ALGORITHM,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        clock=units.clock,
    )
    app = web_app(
        NAME,
        "Steward user-service",
        units=units,
        verifier=verifier,
        revocations=ended,
        metrics=metrics,
        log=log,
        secret=settings.key_encryption_secret,
        blueprints=[users, auth],
        parts=parts,
    )
    app.register_blueprint(verifiers)
    return app


def _feed(units: Units[UnitOfWork], after: str | None) -> Feed:
    with units.read() as uow:
        return revocations.feed(uow, after)


def _worker(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Worker:
    return Worker(
        WorkerParts(
            service=NAME,
            exchange="user.events",
            units=units,
            broker=connect(settings.broker_url, name=NAME),
            subscriptions=subscriptions(settings.access_token_lifetime),
            jobs=[
                every(settings.watermark_interval, activity.emit_watermark),
                every(timedelta(minutes=1), revocations.forget),
            ],
            log=log,
            metrics=metrics,
            stop=stop,
        )
    )


COMMANDS = (commands.create_admin, commands.import_users)
