import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, MetaData, Table, Uuid, event, func, insert, select, text
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.errors import Conflict
from service_chassis.http import Blueprint, parts, uow
from service_chassis.ids import uuid7
from service_chassis.testing.plugin import only_postgresql
from service_chassis.testing.waiting import wait_until
from service_chassis.testing.web import Trial

pytestmark = only_postgresql

metadata = MetaData()
orders = Table("orders", metadata, Column("id", Uuid, primary_key=True))
shop = Blueprint("shop", __name__, url_prefix="/api/v1/orders")
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


class Sold(Conflict):
    """It is sold."""


class Gate:
    """Holds back the first request until the test lets it go on, and decides what becomes of it."""

    def __init__(self) -> None:
        self.fails = False
        self.arrived = threading.Event()
        self.open = threading.Event()

    def pass_through(self) -> None:
        if not self.arrived.is_set():
            self.arrived.set()
            assert self.open.wait(30)
            if self.fails:
                raise Sold


@shop.route("", methods=["POST"])
@shop.response(201)
def place() -> None:
    uow().session.execute(insert(orders).values(id=uuid7()))
    parts().pass_through()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def trial(database: Database, clock: ManualClock, gate: Gate) -> Trial:
    metadata.create_all(database.engine)
    return Trial(database, clock, shop, parts=gate)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def post(trial: Trial) -> TestResponse:
    return trial.client(subject=UUID(int=7)).post("/api/v1/orders", headers={"Idempotency-Key": "one"})


def placed(database: Database) -> Any:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(orders))


def somebody_waits(database: Database) -> bool:
    with database.reading() as session:
        return bool(session.scalar(WAITING))


def test_a_repeat_during_the_first_request_waits_for_its_answer(
    trial: Trial, database: Database, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    first = threads.submit(post, trial)
    assert gate.arrived.wait(10)
    repeat = threads.submit(post, trial)
    wait_until(lambda: somebody_waits(database))

    gate.open.set()

    assert first.result(10).status_code == repeat.result(10).status_code == 201
    assert repeat.result().headers["Idempotency-Replayed"] == "true"
    assert placed(database) == 1


def test_a_repeat_takes_over_when_the_first_request_fails(
    trial: Trial, database: Database, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    gate.fails = True
    first = threads.submit(post, trial)
    assert gate.arrived.wait(10)
    repeat = threads.submit(post, trial)
    wait_until(lambda: somebody_waits(database))

    gate.open.set()

    assert (first.result(10).status_code, repeat.result(10).status_code) == (409, 201)
    assert "Idempotency-Replayed" not in repeat.result().headers
    assert placed(database) == 1


def test_a_repeat_does_not_wait_for_ever(
    trial: Trial, database: Database, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    @event.listens_for(database.engine, "begin")
    def _be_impatient(connection: Any) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")

    first = threads.submit(post, trial)
    assert gate.arrived.wait(10)

    repeat = post(trial)
    gate.open.set()

    assert repeat.json is not None
    assert (repeat.status_code, repeat.json["error"]) == (409, "in_progress")
    assert repeat.headers["Retry-After"] == "1"
    assert first.result(10).status_code == 201
    assert placed(database) == 1
