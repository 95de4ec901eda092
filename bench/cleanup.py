"""A cleanup run from its trigger to its report, one event per user, beside the row-by-row loop that tells nobody."""

import datetime as dt
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client import CollectorRegistry

import cleanup_service.bootstrap
import user_service.bootstrap
from bench import harness
from bench.peers import cleanup_loop
from cleanup_service.model.run import Trigger
from cleanup_service.usecases import runs
from service_chassis.ids import uuid7
from service_chassis.service import Service

INACTIVE_SHARE = 0.9
PEER_USERS = 20_000
AT_ONCE = 2_000


def run(sizes: tuple[int, ...], embedded: int) -> dict[str, Any]:
    """Measure the peer, then runs of several sizes on real servers, then one in the embedded process."""
    with harness.servers() as servers:
        database = servers.postgres.create_database("bench")
        peer = cleanup_loop.rate(database, PEER_USERS)
        servers.postgres.drop_database(database)
        native = {size: _native(servers, size) for size in sizes}
    largest = native[max(sizes)]
    costs = [1 / result["users_per_second"] for result in native.values()]
    return {
        "peer_users_per_second": round(peer),
        "native": native,
        "ratio": round(largest["users_per_second"] / peer, 2),
        "limit": ">= 3 x the peer, aim 5000 users/s; cost per user within 1.3 x over the sizes; RSS <= 200 MB",
        "cost_per_user_spread": round(max(costs) / min(costs), 2),
        "embedded": {embedded: _embedded(embedded), "limit": ">= 1500 users/s, RSS <= 200 MB"},
    }


def _native(servers: Any, users: int) -> dict[str, Any]:
    databases = {name: servers.postgres.create_database("bench") for name in ("user", "cleanup")}
    broker = f"{servers.rabbitmq.url}?namespace={harness.unique('bench')}"
    environments = {
        name: {"DATABASE_URL": url, "BROKER_URL": broker, "LOG_LEVEL": "WARNING"} for name, url in databases.items()
    }
    with _services(environments["user"], environments["cleanup"]) as (identity, cleanup):
        _seed(identity, cleanup, users)
        workers = [
            harness.python("-m", "cleanup_service", "worker", env=environments["cleanup"]),
            harness.python("-m", "user_service", "worker", env=environments["user"]),
        ]
        try:
            harness.wait_for(lambda: _has_watermark(cleanup), within=60, alive=workers)
            result = _measure(cleanup, workers)
        finally:
            _stopped(workers)
    for url in databases.values():
        servers.postgres.drop_database(url)
    return result


def _embedded(users: int) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        env = {"STEWARD_DATA": folder, "LOG_LEVEL": "WARNING", "GATEWAY_PORT": "18099"}
        with _services(env, env) as (identity, cleanup):
            _seed(identity, cleanup, users)
            process = harness.python("-m", "devstack", "run", env=env)
            try:
                harness.wait_for(lambda: _has_watermark(cleanup), within=60, alive=[process])
                return _measure(cleanup, [process])
            finally:
                _stopped([process])


def _measure(cleanup: Service, processes: list[subprocess.Popen[str]]) -> dict[str, Any]:
    started = time.monotonic()
    with cleanup.units.write() as uow:
        run_id = runs.start(uow, _policy(), Trigger.MANUAL).id
    harness.wait_for(lambda: _report(cleanup, run_id)["status"] == "completed", within=900, every=0.1, alive=processes)
    seconds = time.monotonic() - started
    report = _report(cleanup, run_id)
    if report["candidates"] != report["deactivated"] + report["refused"] + report["failed"]:
        raise RuntimeError(f"The report does not reconcile: {report}")
    return {
        "deactivated": report["deactivated"],
        "seconds": round(seconds, 2),
        "users_per_second": round(report["deactivated"] / seconds),
        "peak_rss_mb": [harness.peak_rss_mb(process.pid) for process in processes],
    }


@contextmanager
def _services(user_env: dict[str, str], cleanup_env: dict[str, str]) -> Iterator[tuple[Service, Service]]:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    made = [
        module.bootstrap(environment | env, CollectorRegistry(), threading.Event())
        for module, env in ((user_service.bootstrap, user_env), (cleanup_service.bootstrap, cleanup_env))
    ]
    for service in made:
        service.migrate()
    yield made[0], made[1]
    for service in made:
        service.close()


def _seed(identity: Service, cleanup: Service, users: int) -> None:
    now = dt.datetime.now(dt.UTC)
    for start in range(0, users, AT_ONCE):
        rows = [_user(number, now, users) for number in range(start, min(start + AT_ONCE, users))]
        with identity.units.write() as uow:
            uow.users.insert_all(rows)
        states = [
            {
                "user_id": row["id"],
                "role": row["role"],
                "status": row["status"],
                "last_activity_at": row["last_activity_at"],
                "version": 1,
            }
            for row in rows
        ]
        with cleanup.units.write() as uow:
            uow.known_users.apply_states(states)


def _user(number: int, now: dt.datetime, users: int) -> dict[str, Any]:
    seen = now - dt.timedelta(days=90 if number < users * INACTIVE_SHARE else 1)
    return {
        "id": uuid7(),
        "email": f"user{number}@example.org",
        "name": f"User {number}",
        "role": "user",
        "status": "active",
        "password_hash": None,
        "registered_at": now - dt.timedelta(days=400),
        "last_login_at": seen,
        "last_activity_at": seen,
        "reactivated_at": None,
        "deactivated_at": None,
        "deactivation_reason": None,
        "deactivated_by_run": None,
        "version": 1,
    }


def _policy() -> Any:
    return cleanup_service.bootstrap.Settings.read({}).policy


def _has_watermark(cleanup: Service) -> bool:
    with cleanup.units.read() as uow:
        return uow.known_users.watermark() is not None


def _report(cleanup: Service, run_id: Any) -> dict[str, Any]:
    with cleanup.units.read() as uow:
        return uow.runs.get(run_id).shown()


def _stopped(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(40)
