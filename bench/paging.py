"""The list of users: page 1 and a page far behind it by cursor, and the same page by its number."""

import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry

import user_service.bootstrap
from bench import harness
from service_chassis.database.paging import FIRST, Paging
from service_chassis.service import Service
from service_chassis.testing.servers import Servers
from user_service.persistence.users import ORDERS, UserFilter

LIMIT = 100
STRIDE = 50_000
"""Users passed over at a time on the way to the far page."""
FILL = """
INSERT INTO users (id, email, name, role, status, registered_at, last_activity_at, version)
SELECT (lpad(to_hex(1760000000000 + n), 12, '0') || '70008000000000000000')::uuid, 'user' || n || '@example.com',
       'User ' || n, 'user', 'active', now() - random() * interval '900 days', now() - random() * interval '90 days', 1
FROM generate_series(1, %(users)s) AS n
"""


def run(users: int, page: int, times: int) -> dict[str, Any]:
    """Measure one list at its beginning and at a page far behind."""
    with harness.servers() as servers, _filled(servers, users) as service:
        figures = {name: _figures(service, name, page, times) for name in ("created_at", "-email")}
    return {"users": users, "page": page, "limit_per_page": LIMIT, **figures, "limit": "far page <= 1.5 x the first"}


def _figures(service: Service, order: str, page: int, times: int) -> dict[str, float]:
    far = _cursor(service, order, (page - 1) * LIMIT)
    pages = {
        "first_ms": Paging(limit=LIMIT, cursor=FIRST),
        "far_ms": Paging(limit=LIMIT, cursor=far),
        "far_by_number_ms": Paging(limit=LIMIT, page=page),
    }
    # By turns, so that the machine's moods meet all alike.
    taken = [{name: _milliseconds(service, order, paging) for name, paging in pages.items()} for _ in range(times)]
    medians = {name: round(statistics.median(turn[name] for turn in taken), 2) for name in pages}
    return medians | {"ratio": round(medians["far_ms"] / medians["first_ms"], 2)}


def _cursor(service: Service, order: str, rows: int) -> str:
    """Return the cursor behind so many rows."""
    cursor = FIRST
    while rows > 0:
        paging = Paging(limit=min(STRIDE, rows), cursor=cursor)
        with service.units.read() as uow:
            cursor = uow.users.page(UserFilter(), paging, ORDERS[order]).next_cursor
        rows -= STRIDE
    return cursor


def _milliseconds(service: Service, order: str, paging: Paging) -> float:
    started = time.perf_counter()
    with service.units.read() as uow:
        found = uow.users.page(UserFilter(), paging, ORDERS[order])
    if len(found.items) != LIMIT:
        raise RuntimeError("The page is not full: there are not enough users for it.")
    return (time.perf_counter() - started) * 1_000


@contextmanager
def _filled(servers: Servers, users: int) -> Iterator[Service]:
    """Yield user-service on a PostgreSQL database with so many users."""
    url = servers.postgres.create_database("bench")
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    settings = {"DATABASE_URL": url, "LOG_LEVEL": "WARNING"}
    service = user_service.bootstrap.bootstrap(environment | settings, CollectorRegistry(), threading.Event())
    service.migrate()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL, {"users": users})
        connection.execute("VACUUM ANALYZE users")
    yield service
    service.close()
    servers.postgres.drop_database(url)
