"""The composition root: web, worker, commands and tests get the service from here."""

import os
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from flask import Flask
from prometheus_client import CollectorRegistry

from service_chassis import cache
from service_chassis.clock import Clock, SystemClock
from service_chassis.database import Database
from service_chassis.http import Check, web_app
from service_chassis.logs import Log, make_log
from service_chassis.messaging.connect import connect
from service_chassis.metrics import Metrics
from service_chassis.scheduler import UnitJob, every
from service_chassis.sealing import Seal
from service_chassis.service import Service
from service_chassis.tokens import KeySet, SharedSecret, TokenVerifier
from service_chassis.unit_of_work import Units
from service_chassis.worker import Worker, WorkerParts
from user_service import commands
from user_service.config import NAME, Settings
from user_service.http.accounts import accounts
from user_service.http.auth import auth
from user_service.http.invitations import invitations
from user_service.http.lookups import lookups
from user_service.http.notifications import notifications
from user_service.http.profile import profile
from user_service.http.recovery import recovery
from user_service.http.sessions import sessions
from user_service.http.users import users
from user_service.http.verifiers import verifiers
from user_service.messaging.requests import notification_queues
from user_service.messaging.subscriptions import subscriptions
from user_service.model.password_policy import PasswordPolicy
from user_service.model.passwords import Passwords
from user_service.model.signing import TokenRules, derived_key
from user_service.parts import Parts
from user_service.persistence.breached_passwords import BreachedPasswords
from user_service.persistence.unit_of_work import Seals, UnitOfWork
from user_service.usecases import activity, revocations, signing_keys, throttling
from user_service.usecases import recovery as recovery_requests
from user_service.usecases.credentials import Credentials
from user_service.usecases.invitations import forget as forget_invitations
from user_service.usecases.notifications import forget as forget_notifications
from user_service.usecases.preferences import RememberedPreferences
from user_service.usecases.seeding import seed
from user_service.usecases.sign_in import Gate, SignIn
from user_service.usecases.signing_keys import FRESH, SharedKey, SigningKeys
from user_service.usecases.throttling import Attempts
from user_service.usecases.tokens import Lifetimes, Tokens

PREFERENCES_REMEMBERED = timedelta(hours=1)


def bootstrap(
    env: Mapping[str, str], registry: CollectorRegistry, stop: threading.Event, *, clock: Clock | None = None
) -> Service:
    """Put the service together; nothing runs yet. Raises SettingsError."""
    settings = Settings.read(env)
    runtime = settings.runtime
    log = make_log(NAME, level=runtime.log_level, form=runtime.log_format)
    metrics = Metrics(registry, NAME)
    database = Database(runtime.database_url, pool_size=runtime.database_pool)
    units = Units(database, partial(UnitOfWork, seals=_seals(settings)), clock or SystemClock())
    parts = _parts(settings, units, metrics, log)
    return Service(
        name=NAME,
        log=log,
        units=units,
        metrics=metrics,
        migrations=Path(__file__).parent / "migrations",
        make_web=lambda: _web(parts, units, metrics, log),
        make_worker=lambda: _worker(settings, units, metrics, log, stop),
        seed=lambda: seed(
            units,
            settings.key_encryption_secret,
            parts.passwords,
            settings.service_clients,
            demo=settings.demo,
        ),
        parts=parts,
        runtime=runtime,
        unread_settings=settings.unread,
    )


def _seals(settings: Settings) -> Seals:
    return Seals(
        accounts=Seal(settings.key_encryption_secret, "account-tokens"),
        notifications=Seal(settings.notification_secret, "notifications"),
    )


def _parts(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log) -> Parts:
    secret = settings.key_encryption_secret
    runtime = settings.runtime
    # More at a time than there are cores, in all processes together, would only take the caches from each other.
    at_a_time = max(1, (os.cpu_count() or 1) // runtime.web_processes)
    passwords = Passwords(memory_kib=settings.argon2_memory_kib, passes=settings.argon2_passes, parallel=at_a_time)
    rules = TokenRules(
        runtime.token_issuer, runtime.token_audience, runtime.token_algorithm, settings.access_token_lifetime
    )
    keys = SigningKeys(units, secret) if runtime.token_secret is None else SharedKey(runtime.token_secret)
    lifetimes = Lifetimes(
        refresh=settings.refresh_token_lifetime,
        session=settings.session_lifetime,
        opaque=settings.opaque_token_lifetime,
    )
    tokens = Tokens(keys, rules, secret, lifetimes)
    attempts = Attempts(derived_key(secret, "throttles"))
    gate = Gate(attempts, require_verified_email=settings.require_email_verification)
    remembered = cache.connect(settings.redis_url, PREFERENCES_REMEMBERED, runtime.breaker, metrics)
    preferences = RememberedPreferences(remembered, metrics)
    policy = PasswordPolicy(
        settings.password_minimum,
        refuses_common=not settings.demo,
        breached=BreachedPasswords(settings.breached_passwords) if settings.breached_passwords else (),
    )
    return Parts(
        settings=settings,
        passwords=passwords,
        password_policy=policy,
        tokens=tokens,
        attempts=attempts,
        sign_in=SignIn(units, passwords, tokens, gate, log),
        credentials=Credentials(
            units, passwords, policy, tokens=tokens, attempts=attempts, lifetimes=settings.one_time_tokens
        ),
        preferences=preferences,
    )


def _web(parts: Parts, units: Units[UnitOfWork], metrics: Metrics, log: Log) -> Flask:
    settings = parts.settings
    app = web_app(
        NAME,
        "Steward user-service",
        units=units,
        verifier=_verifier(parts, units),
        revocations=revocations.EndedSessions(units),
        metrics=metrics,
        log=log,
        secret=settings.key_encryption_secret,
        blueprints=[users, profile, accounts, lookups, invitations, notifications, auth, sessions, recovery],
        parts=parts,
        checks=[Check("cache", parts.preferences.problem, required=False)],
    )
    app.register_blueprint(verifiers)
    return app


def _verifier(parts: Parts, units: Units[UnitOfWork]) -> TokenVerifier:
    secret, rules = parts.settings.runtime.token_secret, parts.tokens.rules
    return TokenVerifier(
        KeySet(parts.tokens.keys.jwks, lifetime=FRESH, now=lambda: units.clock.now().timestamp())
        if secret is None
        else SharedSecret(secret),
        algorithm=rules.algorithm,
        issuer=rules.issuer,
        audience=rules.audience,
        clock=units.clock,
    )


def _worker(settings: Settings, units: Units[UnitOfWork], metrics: Metrics, log: Log, stop: threading.Event) -> Worker:
    return Worker(
        WorkerParts(
            service=NAME,
            exchange="user.events",
            units=units,
            broker=connect(settings.runtime.broker_url, name=NAME),
            breaker=settings.runtime.breaker,
            subscriptions=subscriptions(settings.access_token_lifetime),
            jobs=[
                every(settings.watermark_interval, activity.emit_watermark),
                every(timedelta(minutes=1), revocations.forget),
                every(timedelta(hours=1), forget_notifications),
                every(timedelta(hours=1), forget_invitations),
                *_upkeep(settings),
            ],
            log=log,
            metrics=metrics,
            stop=stop,
            foreign=notification_queues(settings.notification_prefetch),
        )
    )


def _key_rotation(settings: Settings) -> list[UnitJob]:
    if settings.runtime.token_secret is not None:
        return []
    rotate = partial(signing_keys.rotate_when_due, secret=settings.key_encryption_secret)
    due = partial(signing_keys.is_due, interval=settings.key_rotation)
    withdraw = partial(signing_keys.forget, tokens_live=settings.access_token_lifetime)
    return [
        every(timedelta(hours=1), rotate, name="rotate-keys", when=due),
        every(timedelta(hours=1), withdraw, name="signing_keys.forget"),
    ]


def _upkeep(settings: Settings) -> list[UnitJob]:
    decide = partial(recovery_requests.decide, lifetimes=settings.one_time_tokens)
    return [
        *_key_rotation(settings),
        every(timedelta(minutes=10), throttling.forget),
        every(timedelta(minutes=10), recovery_requests.forget, name="recovery.forget"),
        every(timedelta(seconds=2), decide, name="recovery.decide", when=recovery_requests.is_one_waiting),
    ]


COMMANDS = (
    commands.create_admin,
    commands.import_users,
    commands.rotate_keys,
    commands.create_client,
    commands.show_account_token,
    commands.export_user,
    commands.purge_user,
    commands.consume_rabbitmq,
)
