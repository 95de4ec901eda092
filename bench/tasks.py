"""Sweeps over tasks, beside a loop that takes one row at a time; what a sweep costs that finds nothing; and lists."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from prometheus_client import CollectorRegistry
from psycopg import sql

import task_service.bootstrap
from bench import harness
from bench.peers import task_loop
from service_chassis import correlation
from service_chassis.database.paging import FIRST, Paging
from service_chassis.service import Service
from service_chassis.testing.servers import Servers
from task_service.persistence.tasks import SORTS, TaskFilter
from task_service.sweeper import Sweeper
from task_service.usecases.sweep import Done

DUE_SHARE = 10
"""One task in so many is due; of the others every second is done, and its deadline long over."""
PER_USER = 100
PEER_TASKS = 2_000
EMPTY_SWEEPS = 200
LISTS = 300
FILL = """
INSERT INTO tasks (id, title, description, status, priority, deadline, assignee_id, creator_id, version,
                   created_at, updated_at)
SELECT (lpad(to_hex(1760000000000 + n), 12, '0') || '70008000000000000000')::uuid, 'Task ' || n, '',
       CASE WHEN n %% %(due)s != 0 AND n %% 2 = 1 THEN 'completed' ELSE 'pending' END,
       'normal', now() + CASE WHEN n %% %(due)s = 0 THEN -random() * interval '10 days'
                              WHEN n %% 2 = 1 THEN -random() * interval '300 days'
                              ELSE (30 + random() * 300) * interval '1 day' END,
       (lpad(to_hex(n / %(each)s), 32, '0'))::uuid, (lpad(to_hex(n %% 100), 32, 'f'))::uuid, 1, now(), now()
FROM generate_series(1, %(tasks)s) AS n
"""
USERS = """
INSERT INTO users (user_id, role, status, version)
SELECT (lpad(to_hex(n), 32, '0'))::uuid, 'user', 'active', 1 FROM generate_series(0, %(users)s) AS n
"""


def run(tasks: int, empty_sizes: tuple[int, ...], list_sizes: tuple[int, ...]) -> dict[str, Any]:
    """Measure a full sweep beside the loop, then empty sweeps and lists at several sizes."""
    with harness.servers() as servers:
        full = _full_sweep(servers, tasks)
        empty = {size: _empty_sweep(servers, size) for size in empty_sizes}
        lists = {size: _lists(servers, size) for size in list_sizes}
    return {
        "sweep": full,
        "empty_sweep_ms": empty,
        "empty_sweep_ratio": round(empty[max(empty_sizes)] / empty[min(empty_sizes)], 2),
        "list_p99_ms": lists,
        "list_p99_ratio": {
            name: round(lists[max(list_sizes)][name] / lists[min(list_sizes)][name], 2) for name in _questions()
        },
        "limit": ">= 10 x the loop, aim 20000 tasks/s; empty sweep and lists <= 2 x from the smallest to the largest",
    }


def _full_sweep(servers: Servers, tasks: int) -> dict[str, Any]:
    with _filled(servers, tasks, DUE_SHARE) as (service, url):
        rules = service.parts.settings.rules
        peer = task_loop.rate(url, PEER_TASKS, rules.limit, rules.window)
        started = time.monotonic()
        done = _swept(service)
        seconds = time.monotonic() - started
    rate = done.missed / seconds
    return {
        "tasks": tasks,
        "missed": done.missed,
        "limits": done.limits_reached + done.limits_held,
        "seconds": round(seconds, 2),
        "tasks_per_second": round(rate),
        "loop_tasks_per_second": round(peer),
        "ratio": round(rate / peer, 1),
    }


def _swept(service: Service) -> Done:
    """Do one pass as the command does, but for its pauses."""
    sweeper, done, more = Sweeper(service.units, service.parts.settings.rules), Done(), True
    with correlation.correlated(correlation.fresh()):
        while more:
            step, more = sweeper.step()
            done += step
    return done


def _empty_sweep(servers: Servers, tasks: int) -> float:
    """Return the median milliseconds of a whole step, as the command takes it, that finds nothing."""
    with _filled(servers, tasks, tasks + 1) as (service, _):
        sweeper = Sweeper(service.units, service.parts.settings.rules)
        return round(statistics.median(_milliseconds(sweeper.step) for _ in range(EMPTY_SWEEPS)), 3)


def _lists(servers: Servers, tasks: int) -> dict[str, float]:
    """Return the 99th percentile, in milliseconds, of the repository's part of several lists."""
    with _filled(servers, tasks, DUE_SHARE) as (service, _):
        return {name: _p99(service, *question) for name, question in _questions().items()}


def _questions() -> dict[str, tuple[TaskFilter, Paging]]:
    return {
        "all_newest_first": (TaskFilter(), Paging()),
        "all_by_deadline_with_cursor": (TaskFilter(order=SORTS["deadline"]), Paging(cursor=FIRST)),
        "of_one_assignee": (TaskFilter(assignee_id=UUID(int=3)), Paging()),
        "overdue": (TaskFilter(overdue=True, order=SORTS["deadline"]), Paging()),
    }


def _p99(service: Service, chosen: TaskFilter, paging: Paging) -> float:
    def ask() -> None:
        with service.units.read() as uow:
            uow.tasks.page(chosen, paging, uow.now)

    taken = sorted(_milliseconds(ask) for _ in range(LISTS))
    return round(taken[int(LISTS * 0.99) - 1], 2)


def _milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1_000


@contextmanager
def _filled(servers: Servers, tasks: int, due_share: int) -> Iterator[tuple[Service, str]]:
    """Yield task-service on a database with so many tasks, of which one in `due_share` is due."""
    url = servers.postgres.create_database("bench")
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    # What is measured is the finding, so nothing is held.
    settings = {"DATABASE_URL": url, "LOG_LEVEL": "WARNING", "MISSED_TASK_SWEEP_CAP": "0"}
    service = task_service.bootstrap.bootstrap(environment | settings, CollectorRegistry(), threading.Event())
    service.migrate()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(USERS, {"users": tasks // PER_USER})
        with _indexes_made_afterwards(connection):
            connection.execute(FILL, {"tasks": tasks, "due": due_share, "each": PER_USER})
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    yield service, url
    service.close()
    servers.postgres.drop_database(url)


@contextmanager
def _indexes_made_afterwards(connection: psycopg.Connection) -> Iterator[None]:
    """Fill the table of tasks in a fraction of the time; in the end its indexes are what the migrations made."""
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND indexname != 'tasks_pkey'"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    connection.execute("SET maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        connection.execute(definition)
