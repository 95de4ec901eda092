"""Signing in, staying signed in and reading the own profile; beside bare argon2id and a Django peer."""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry

import user_service.bootstrap
from bench import harness
from bench.load import Connection, rate
from service_chassis.gateway_secret import DEMO_SECRET
from service_chassis.ids import uuid7
from service_chassis.service import Service
from service_chassis.testing.servers.process import free_port
from user_service.model.passwords import decoy_of
from user_service.usecases.importing import import_users

PASSWORD = "correct horse battery staple"
CONNECTIONS = 8
ROUNDS = 3
PROCESSES, THREADS = 2, 8
IMPORTED = "pbkdf2_sha256$260000$"
"""What Django 3.2 made, which takes three times what this service's own hashes take."""

Step = Callable[[], object]


def run(pairs: int, seconds: float) -> dict[str, Any]:
    """Measure one user-service on PostgreSQL, and the peer on a database of the same server."""
    with harness.servers() as servers:
        ours, theirs, importing = (servers.postgres.create_database("bench") for _ in range(3))
        with _user_service(ours, users=pairs + CONNECTIONS) as (service, port), _peer(theirs) as (peer_port, tokens):
            result = {
                "server": f"gunicorn, {PROCESSES} processes x {THREADS} threads each",
                "login_timing": _timing(port, pairs, "a wrong one"),
                "login_timing_two_forms": _timing(port, pairs, "a wrong o\u0308ne"),
                "logins": _logins(service, port, seconds),
                **_beside_peer(port, peer_port, tokens, seconds),
            }
        with _user_service(importing, users=0) as (service, port):
            result["login_timing_imported"] = _timing(port, pairs, "a wrong one", known=_import(service, pairs))
        for database in (ours, theirs, importing):
            servers.postgres.drop_database(database)
    return result


def _timing(port: int, pairs: int, password: str, known: str = "user") -> dict[str, Any]:
    """Try a wrong password at addresses that are known and at others, in random order.

    One with a letter and an accent apart is tried in two forms, by whoever has an account and by whoever has none.
    """
    connection = Connection(port)
    times: dict[bool, list[float]] = {True: [], False: []}
    attempts = [(is_known, number) for is_known in (True, False) for number in range(pairs)]
    random.shuffle(attempts)
    _attempt(connection, "warm-up@example.org", password, 0)
    for position, (is_known, number) in enumerate(attempts):
        email = f"{known if is_known else 'none'}{number}@example.org"
        times[is_known].append(_attempt(connection, email, password, position))
    medians = {is_known: statistics.median(values) for is_known, values in times.items()}
    return {
        "pairs": pairs,
        "median_known_ms": round(medians[True], 2),
        "median_unknown_ms": round(medians[False], 2),
        "difference_ms": round(abs(medians[True] - medians[False]), 2),
        "auc": round(_auc(times[True], times[False]), 3),
        "limit": "difference <= 1 ms, AUC 0.45-0.55",
    }


def _import(service: Service, users: int) -> str:
    """Import people with hashes of another cost; return how their addresses begin."""
    stored = decoy_of(IMPORTED)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "users.csv")
        file.write_text(
            "email,password_hash\n" + "".join(f"old{n}@example.org,{stored}\n" for n in range(users)), encoding="utf-8"
        )
        import_users(service.units, file, Path(folder, "rejects.csv"))
    return "old"


def _attempt(connection: Connection, email: str, password: str, position: int) -> float:
    """Return the milliseconds of one refused sign-in; each comes from another address, so that none is throttled."""
    address = f"10.{position >> 16 & 255}.{position >> 8 & 255}.{position & 255}"
    started = time.perf_counter()
    status, answer = connection.post(
        "/api/v1/auth/login",
        {"email": email, "password": password},
        X_Forwarded_For=address,
        X_Gateway_Secret=DEMO_SECRET,
    )
    took = time.perf_counter() - started
    if status != 401:
        raise RuntimeError(f"Expected a refusal, got {status}: {answer}")
    return took * 1000


def _auc(one: list[float], other: list[float]) -> float:
    """Return how often a value of one list is greater than one of the other: 0.5 tells nothing apart."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in other])
    ranks = sum(rank for rank, (_, is_one) in enumerate(ranked, 1) if is_one)
    return (ranks - len(one) * (len(one) + 1) / 2) / (len(one) * len(other))


def _logins(service: Service, port: int, seconds: float) -> dict[str, Any]:
    settings = service.parts.settings
    hasher = PasswordHasher(time_cost=settings.argon2_passes, memory_cost=settings.argon2_memory_kib, parallelism=1)
    stored = hasher.hash(PASSWORD)
    cores = len(os.sched_getaffinity(0))
    bare = [lambda: hasher.verify(stored, PASSWORD)] * cores
    steps = [_login_step(Connection(port), f"user{number}@example.org") for number in range(CONNECTIONS)]
    rounds = _alternating({"bare": bare, "logins": steps}, seconds)
    return {
        "argon2id": f"{settings.argon2_memory_kib} KiB, {settings.argon2_passes} passes, 1 lane",
        "bare_verifications_per_second": _median(rounds, "bare", 1),
        "logins_per_second": _median(rounds, "logins", 1),
        "ratio": round(statistics.median(one["logins"] / one["bare"] for one in rounds), 2),
        "limit": ">= 0.75",
    }


def _login_step(connection: Connection, email: str) -> Step:
    def step() -> None:
        _expect(connection.post("/api/v1/auth/login", {"email": email, "password": PASSWORD}))

    return step


def _beside_peer(port: int, peer_port: int, tokens: list[dict[str, str]], seconds: float) -> dict[str, Any]:
    refresh: dict[str, list[Step]] = {"ours": [], "peer": []}
    profile: dict[str, list[Step]] = {"ours": [], "peer": []}
    for number in range(CONNECTIONS):
        connection, pair = Connection(port), tokens[number]
        credentials = {"email": f"user{number}@example.org", "password": PASSWORD}
        own = _expect(connection.post("/api/v1/auth/login", credentials))["data"]
        refresh["ours"].append(_refresh_step(connection, own["refresh_token"]))
        refresh["peer"].append(_peer_refresh_step(Connection(peer_port), pair["refresh"]))
        profile["ours"].append(_read_step(Connection(port), "/api/v1/users/profile", own["access_token"]))
        profile["peer"].append(_read_step(Connection(peer_port), "/api/profile/", pair["access"]))
    return {
        "refresh": _compared(refresh, seconds, ">= 1.5 x the peer"),
        "profile_reads": _compared(profile, seconds, ">= 1.3 x the peer"),
    }


def _compared(steps: dict[str, list[Step]], seconds: float, limit: str) -> dict[str, Any]:
    rounds = _alternating(steps, seconds)
    return {
        "per_second": _median(rounds, "ours", 0),
        "peer_per_second": _median(rounds, "peer", 0),
        "ratio": round(statistics.median(one["ours"] / one["peer"] for one in rounds), 2),
        "limit": limit,
    }


def _refresh_step(connection: Connection, token: str) -> Step:
    def step() -> None:
        nonlocal token
        token = _expect(connection.post("/api/v1/auth/refresh", {"refresh_token": token}))["data"]["refresh_token"]

    return step


def _peer_refresh_step(connection: Connection, token: str) -> Step:
    def step() -> None:
        nonlocal token
        token = _expect(connection.post("/api/token/refresh/", {"refresh": token}))["refresh"]

    return step


def _read_step(connection: Connection, path: str, token: str) -> Step:
    return lambda: _expect(connection.get(path, Authorization=f"Bearer {token}"))


def _alternating(steps: dict[str, list[Step]], seconds: float) -> list[dict[str, float]]:
    """Measure one after the other in several rounds, so that what else the machine does hits both."""
    for each in steps.values():
        rate(each, seconds / 10)
    return [{name: rate(each, seconds) for name, each in steps.items()} for _ in range(ROUNDS)]


def _median(rounds: list[dict[str, float]], name: str, digits: int) -> float:
    return round(statistics.median(one[name] for one in rounds), digits)


def _expect(answered: tuple[int, Any]) -> Any:
    status, answer = answered
    if status != 200:
        raise RuntimeError(f"Expected 200, got {status}: {answer}")
    return answer


@contextmanager
def _user_service(database: str, users: int) -> Iterator[tuple[Service, int]]:
    port = free_port()
    env = {
        "DATABASE_URL": database,
        "USER_SERVICE_BIND": f"127.0.0.1:{port}",
        "WEB_PROCESSES": str(PROCESSES),
        "WEB_THREADS": str(THREADS),
        "LOG_LEVEL": "ERROR",
    }
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    service = user_service.bootstrap.bootstrap(environment | env, CollectorRegistry(), threading.Event())
    service.migrate()
    _seed(service, users)
    with _running(["-m", "user_service", "web"], env, port):
        yield service, port
    service.close()


def _seed(service: Service, users: int) -> None:
    now = service.units.clock.now()
    same = {
        "name": "Bench",
        "role": "user",
        "status": "active",
        "password_hash": service.parts.passwords.hash(PASSWORD),
        "registered_at": now,
        "last_activity_at": now,
        "version": 1,
    }
    with service.units.write() as uow:
        uow.users.insert_all([{"id": uuid7(), "email": f"user{n}@example.org", **same} for n in range(users)])


@contextmanager
def _peer(database: str) -> Iterator[tuple[int, list[dict[str, str]]]]:
    port, env = free_port(), {"DATABASE_URL": database}
    prepared = subprocess.run(
        [sys.executable, "-m", "bench.peers.django_identity", str(CONNECTIONS)],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        check=True,
    )
    options = ["--workers", str(PROCESSES), "--threads", str(THREADS), "--keep-alive", "30", "--log-level", "warning"]
    application = "bench.peers.django_identity.server:application"
    with _running(["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *options, application], env, port):
        yield port, json.loads(prepared.stdout)


@contextmanager
def _running(arguments: list[str], env: dict[str, str], port: int) -> Iterator[None]:
    process = harness.python(*arguments, env=env)
    try:
        harness.wait_for(lambda: _answers(port), within=60, alive=[process])
        yield
    finally:
        process.terminate()
        process.wait(40)


def _answers(port: int) -> bool:
    try:
        Connection(port).close()
    except OSError:
        return False
    return True
