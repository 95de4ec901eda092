import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Response
from flask.testing import FlaskClient
from marshmallow import Schema, fields
from sqlalchemy import Column, MetaData, Table, Text, Uuid, insert, select

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.errors import Conflict
from service_chassis.http import Blueprint, parts, public, takes_no_key, uow
from service_chassis.http.answer_store import forget_keys
from service_chassis.ids import uuid7
from service_chassis.messaging.tables import idempotency_keys
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.waiting import wait_until
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

metadata = MetaData()
orders = Table("orders", metadata, Column("id", Uuid, primary_key=True), Column("what", Text, nullable=False))
shop = Blueprint("shop", __name__, url_prefix="/api/v1/orders")


class Sold(Conflict):
    """It is sold."""


class SoldAndNoted(Conflict):
    """It is sold; that it was asked for is noted."""

    keeps_effects = True


class Order(Schema):
    id = fields.UUID(dump_only=True)
    what = fields.String(required=True)


class Gate:
    """Lets the test decide when a view goes on."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.open = threading.Event()


def order(what: str) -> dict[str, Any]:
    row = {"id": uuid7(), "what": what}
    uow().session.execute(insert(orders).values(row))
    return row


@shop.route("", methods=["POST"])
@shop.arguments(Order)
@shop.response(201, Order)
def place(body: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    row = order(body["what"])
    return row, {"Location": f"/api/v1/orders/{row['id']}"}


@shop.route("/open", methods=["POST"])
@shop.arguments(Order)
@shop.response(201, Order)
@public
def place_by_anybody(body: dict[str, str]) -> dict[str, Any]:
    return order(body["what"])


@shop.route("/other", methods=["POST", "PUT", "PATCH", "DELETE"])
@shop.response(200, Order)
def place_another() -> dict[str, Any]:
    return order("other")


@shop.route("/exempt", methods=["POST"])
@shop.response(200, Order)
@takes_no_key
def place_each_time() -> dict[str, Any]:
    return order("each")


@shop.route("/sold", methods=["POST"])
@shop.response(200)
def refuse_while_sold_out() -> None:
    order("tried")
    if parts()["sold out"]:
        raise Sold


@shop.route("/noted", methods=["POST"])
@shop.response(200)
def refuse_but_note() -> None:
    order("noted")
    raise SoldAndNoted


@shop.route("/elsewhere", methods=["POST"])
@shop.response(200)
def place_and_point_elsewhere() -> Response:
    order("elsewhere")
    return Response(status=303, headers={"Location": "/api/v1/orders"})


@shop.route("/gated", methods=["POST"])
@shop.response(201, Order)
def place_behind_a_gate() -> dict[str, Any]:
    row = order("gated")
    parts()["gate"].arrived.set()
    assert parts()["gate"].open.wait(10)
    return row


@pytest.fixture
def service() -> dict[str, Any]:
    return {"sold out": True, "gate": Gate()}


@pytest.fixture
def trial(database: Database, clock: ManualClock, service: dict[str, Any]) -> Trial:
    metadata.create_all(database.engine)
    return Trial(database, clock, shop, parts=service)


@pytest.fixture
def client(trial: Trial) -> FlaskClient:
    return trial.client()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def post(client: FlaskClient, key: str | None = "a key", what: str = "anvil", path: str = "/api/v1/orders") -> Any:
    headers = {} if key is None else {"Idempotency-Key": key.replace(" ", "-")}
    return client.post(path, json={"what": what}, headers=headers)


def placed(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(orders.c.what).order_by(orders.c.id)))


def kept(database: Database) -> list[Any]:
    with database.reading() as session:
        return list(session.execute(select(idempotency_keys)))


def test_a_repeat_gets_the_first_answer_and_does_nothing_twice(client: FlaskClient, database: Database) -> None:
    first, repeat = post(client), post(client)

    assert (repeat.status_code, repeat.data) == (first.status_code, first.data)
    assert repeat.headers["Location"] == first.headers["Location"]
    assert repeat.headers["Content-Type"] == first.headers["Content-Type"]
    assert repeat.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert placed(database) == ["anvil"]


def test_both_headers_name_the_same_key(client: FlaskClient, database: Database) -> None:
    first = client.post("/api/v1/orders", json={"what": "anvil"}, headers={"X-Request-ID": "one"})
    repeat = client.post("/api/v1/orders", json={"what": "anvil"}, headers={"Idempotency-Key": "one"})

    assert repeat.data == first.data
    assert placed(database) == ["anvil"]


def test_a_request_id_that_a_proxy_adds_does_not_hide_the_key(client: FlaskClient, database: Database) -> None:
    for request_id in ("1", "2"):
        headers = {"Idempotency-Key": "one", "X-Request-ID": request_id}
        client.post("/api/v1/orders", json={"what": "anvil"}, headers=headers)

    assert placed(database) == ["anvil"]


def test_without_a_key_every_request_counts(client: FlaskClient, database: Database) -> None:
    post(client, key=None)
    post(client, key=None)

    assert placed(database) == ["anvil", "anvil"]
    assert kept(database) == []


def test_the_same_key_with_another_body_is_refused(client: FlaskClient, database: Database) -> None:
    post(client, what="anvil")

    response = post(client, what="bellows")

    assert (response.status_code, response.json["error"]) == (422, "idempotency_key_reused")
    assert placed(database) == ["anvil"]


def test_keys_of_different_callers_methods_and_paths_do_not_meet(
    trial: Trial, client: FlaskClient, database: Database
) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        client.open("/api/v1/orders/other", method=method, headers={"Idempotency-Key": "one"})
    post(trial.client(), key="one")
    post(client, key="one")

    assert placed(database) == ["other"] * 4 + ["anvil"] * 2


def test_a_slash_at_the_end_does_not_make_another_path(client: FlaskClient, database: Database) -> None:
    post(client)
    post(client, path="/api/v1/orders/")

    assert placed(database) == ["anvil"]


def test_whoever_has_not_signed_in_may_repeat_too(trial: Trial, database: Database) -> None:
    first = post(trial.client(role=None), path="/api/v1/orders/open")
    repeat = post(trial.client(role=None), path="/api/v1/orders/open")

    assert repeat.data == first.data
    assert placed(database) == ["anvil"]


def test_a_view_may_be_exempt(client: FlaskClient, database: Database) -> None:
    first = post(client, path="/api/v1/orders/exempt")
    second = post(client, path="/api/v1/orders/exempt")

    assert first.data != second.data
    assert placed(database) == ["each", "each"]


def test_a_refusal_is_not_kept_so_a_repeat_may_succeed(
    client: FlaskClient, database: Database, service: dict[str, Any]
) -> None:
    refused = post(client, path="/api/v1/orders/sold")
    service["sold out"] = False
    accepted = post(client, path="/api/v1/orders/sold")

    assert (refused.status_code, accepted.status_code) == (409, 200)
    assert placed(database) == ["tried"]


def test_a_refusal_that_keeps_its_effects_does_not_keep_the_key(client: FlaskClient, database: Database) -> None:
    post(client, path="/api/v1/orders/noted")
    post(client, path="/api/v1/orders/noted")

    assert placed(database) == ["noted", "noted"]
    assert kept(database) == []


def test_a_redirect_is_committed_and_not_kept(client: FlaskClient, database: Database) -> None:
    answers = [post(client, path="/api/v1/orders/elsewhere") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert placed(database) == ["elsewhere", "elsewhere"]
    assert kept(database) == []


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, "a\tb"])
def test_a_key_is_1_to_255_visible_characters(client: FlaskClient, database: Database, key: str) -> None:
    response = client.post("/api/v1/orders", json={"what": "anvil"}, headers={"Idempotency-Key": key})

    assert (response.status_code, response.json["error"]) == (400, "invalid_idempotency_key")  # type: ignore[index]
    assert placed(database) == []


def test_the_longest_key_is_fine(client: FlaskClient) -> None:
    assert post(client, key="~" * 255).status_code == 201


def test_a_key_means_nothing_where_nothing_changes(client: FlaskClient) -> None:
    assert client.get("/api/v1/health", headers={"Idempotency-Key": ""}).status_code == 200


def test_neither_answers_nor_bodies_can_be_read_from_the_table(client: FlaskClient, database: Database) -> None:
    post(client, what="a secret thing")

    [row] = kept(database)

    assert row.status == 201
    assert "secret" not in str(tuple(row))


def test_a_repeat_during_the_first_request_waits_for_it(
    trial: Trial, database: Database, service: dict[str, Any], threads: ThreadPoolExecutor
) -> None:
    gate, subject = service["gate"], UUID(int=7)
    first = threads.submit(post, trial.client(subject=subject), path="/api/v1/orders/gated")
    assert gate.arrived.wait(10)
    repeat = threads.submit(post, trial.client(subject=subject), path="/api/v1/orders/gated")
    wait_until(lambda: database._writer._waiting)  # type: ignore[attr-defined]  # the queue before the file

    gate.open.set()

    assert repeat.result(10).data == first.result(10).data
    assert repeat.result().headers["Idempotency-Replayed"] == "true"
    assert placed(database) == ["gated"]


def test_answers_are_forgotten_after_their_time(
    trial: Trial, client: FlaskClient, database: Database, clock: ManualClock
) -> None:
    post(client, key="old")
    clock.advance(timedelta(minutes=30))
    post(client, key="young")

    with trial.units.write() as unit:
        forgotten = forget_keys(unit.session, before=unit.now - timedelta(minutes=10))

    assert forgotten == 1
    assert [row.key for row in kept(database)] == ["young"]
