from typing import Any
from uuid import UUID

import pytest
from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import Column, ForeignKey, MetaData, Table, Text, Uuid, insert, select

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.errors import Conflict
from service_chassis.http import Blueprint, public, question, short_read, short_write, takes_no_key, uow
from service_chassis.ids import uuid7
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial
from service_chassis.unit_of_work import UnitOfWork

pytestmark = only_sqlite

metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("text", Text, nullable=False),
    Column("answers", ForeignKey("notes.id", deferrable=True, initially="DEFERRED")),
)
book = Blueprint("book", __name__, url_prefix="/api/v1/notes")


class Refused(Conflict):
    """This cannot be noted."""


class RefusedButNoted(Refused):
    """This cannot be noted, but that it was tried is."""

    keeps_effects = True


class Names(Schema):
    names = fields.List(fields.String())


def note(unit: UnitOfWork, text: str, answers: UUID | None = None) -> None:
    unit.session.execute(insert(notes).values(id=uuid7(), text=text, answers=answers))


@book.route("", methods=["POST"])
@book.response(201)
def write() -> None:
    note(uow(), "first")
    note(uow(), "second")


@book.route("/failed", methods=["POST"])
@book.response(201)
def write_and_fail() -> None:
    note(uow(), "lost")
    raise RuntimeError


@book.route("/refused", methods=["POST"])
@book.response(201)
def write_and_refuse() -> None:
    note(uow(), "lost")
    raise Refused


@book.route("/refused-but-noted", methods=["POST"])
@book.response(201)
def write_refuse_and_keep() -> None:
    note(uow(), "kept")
    raise RefusedButNoted


@book.route("/refused-by-response", methods=["POST"])
@book.response(201)
def write_and_return_a_refusal() -> Response:
    note(uow(), "lost")
    return Response("no", 422)


@book.route("/dangling", methods=["POST"])
@book.response(201)
def write_what_cannot_be_committed() -> None:
    note(uow(), "an answer to nothing", answers=uuid7())


@book.route("/idle", methods=["POST"])
@book.response(200)
def do_nothing() -> None: ...


@book.route("/changed-by-reading")
@book.response(200)
def write_in_a_safe_method() -> None:
    note(uow(), "never")


@book.route("/slow", methods=["POST"])
@book.response(200, Names)
@takes_no_key
def read_then_think_then_write() -> dict[str, Any]:
    with short_read() as unit:
        before = texts(unit)
    # Another writer gets its turn meanwhile, for this view holds nothing.
    with short_write() as other:
        note(other, "meanwhile")
    with short_write() as unit:
        note(unit, "after thinking")
    return {"names": before}


@book.route("/first")
@book.response(200, Names)
def ask_and_then_read() -> dict[str, Any]:
    with question() as unit:
        asked = texts(unit)
    return {"names": asked + texts(uow())}


@book.route("/slow-failed", methods=["POST"])
@book.response(200)
@takes_no_key
def write_shortly_then_fail() -> None:
    with short_write() as unit:
        note(unit, "kept")
    raise Refused


@book.route("/two-at-once", methods=["POST"])
@book.response(200)
@takes_no_key
def write_while_writing() -> None:
    note(uow(), "lost")
    with short_write() as unit:
        note(unit, "never")


@book.route("/inside-out", methods=["POST"])
@book.response(200)
@takes_no_key
def ask_for_the_unit_in_a_short_one() -> None:
    with short_write():
        uow()


@book.route("/short", methods=["POST"])
@book.response(200)
def write_shortly_though_a_key_may_come() -> None:
    with short_write() as unit:
        note(unit, "never")


@book.route("/counted")
@book.response(200, Names)
@public
def count() -> dict[str, Any]:
    return {"names": texts(uow())}


def texts(unit: UnitOfWork) -> list[str]:
    return list(unit.session.scalars(select(notes.c.text).order_by(notes.c.id)))


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    metadata.create_all(database.engine)
    return Trial(database, clock, book)


def noted(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(notes.c.text).order_by(notes.c.id)))


def test_an_accepted_answer_is_a_committed_one(trial: Trial, database: Database) -> None:
    response = trial.client().post("/api/v1/notes")

    assert response.status_code == 201
    assert noted(database) == ["first", "second"]


@pytest.mark.parametrize(("path", "status"), [("failed", 500), ("refused", 409), ("refused-by-response", 422)])
def test_a_request_that_fails_after_a_write_leaves_no_row(
    trial: Trial, database: Database, path: str, status: int
) -> None:
    response = trial.client().post(f"/api/v1/notes/{path}")

    assert response.status_code == status
    assert noted(database) == []


def test_an_error_that_keeps_its_effects_commits_and_is_still_an_error(trial: Trial, database: Database) -> None:
    response = trial.client().post("/api/v1/notes/refused-but-noted")

    assert response.status_code == 409
    assert noted(database) == ["kept"]


def test_a_commit_that_fails_is_no_success(trial: Trial, database: Database) -> None:
    response = trial.client().post("/api/v1/notes/dangling")

    assert response.status_code == 500
    assert noted(database) == []


def test_a_safe_method_only_reads(trial: Trial, database: Database) -> None:
    assert trial.client().get("/api/v1/notes/changed-by-reading").status_code >= 500
    assert noted(database) == []


def test_a_read_sees_what_was_committed(trial: Trial) -> None:
    trial.client().post("/api/v1/notes")

    answer = trial.client().get("/api/v1/notes/counted").json

    assert answer is not None
    assert answer["data"] == {"names": ["first", "second"]}


def test_a_view_that_asks_for_no_unit_waits_for_nobody(trial: Trial, database: Database) -> None:
    with database.writing():
        response = trial.client().post("/api/v1/notes/idle")

    assert response.status_code == 200


def test_a_view_may_read_think_and_write_without_holding_anything(trial: Trial, database: Database) -> None:
    response = trial.client().post("/api/v1/notes/slow")

    assert response.status_code == 200
    assert noted(database) == ["meanwhile", "after thinking"]


def test_a_view_may_ask_a_single_question_and_read_after_it(trial: Trial, database: Database) -> None:
    with database.writing() as session:
        session.execute(insert(notes).values(id=uuid7(), text="there"))

    assert trial.client().get("/api/v1/notes/first").get_json()["data"] == {"names": ["there", "there"]}


def test_a_short_transaction_has_committed_whatever_comes_after(trial: Trial, database: Database) -> None:
    response = trial.client().post("/api/v1/notes/slow-failed")

    assert response.status_code == 409
    assert noted(database) == ["kept"]


@pytest.mark.parametrize("path", ["two-at-once", "inside-out"])
def test_two_transactions_of_one_request_are_refused_instead_of_waiting_for_each_other(
    trial: Trial, database: Database, path: str
) -> None:
    assert trial.client().post(f"/api/v1/notes/{path}").status_code == 500
    assert noted(database) == []


def test_a_view_that_takes_keys_cannot_write_shortly(trial: Trial, database: Database) -> None:
    assert trial.client().post("/api/v1/notes/short").status_code == 500
    assert noted(database) == []
