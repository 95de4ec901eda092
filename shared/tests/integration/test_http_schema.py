"""The trial application against its own description: every answer is one the description knows."""

from typing import Any
from uuid import UUID

import hypothesis
import pytest
import schemathesis
from marshmallow import Schema, fields, validate
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy import Column, Integer, MetaData, Table, Text, Uuid, delete, insert, select

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.database.paging import descending, fetch_page
from service_chassis.errors import NotFound
from service_chassis.http import Blueprint, Page, PageQuery, Paging, allowed, public, uow
from service_chassis.ids import uuid7
from service_chassis.testing.web import Trial
from service_chassis.tokens import Principal

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("size", Integer, nullable=False),
)
shelf = Blueprint("things", __name__, url_prefix="/api/v1/things")


class Thing(Schema):
    id = fields.UUID(dump_only=True, required=True)
    name = fields.String(required=True, validate=validate.Length(1, 50))
    size = fields.Integer(required=True, strict=True, validate=validate.Range(0, 1000))


class Filters(Schema):
    name = fields.String()


def may_drop_things(caller: Principal) -> bool:
    return caller.role == "admin"


@shelf.route("")
@shelf.arguments(PageQuery, location="query")
@shelf.arguments(Filters, location="query")
@shelf.response(200, Thing(many=True))
@public
def listed(paging: Paging, filters: dict[str, str]) -> Page[Any]:
    return fetch_page(uow().session, select(things).filter_by(**filters), descending(things.c.id), paging)


@shelf.route("", methods=["POST"])
@shelf.arguments(Thing)
@shelf.response(201, Thing)
def make(body: dict[str, Any]) -> dict[str, Any]:
    row = {**body, "id": uuid7()}
    uow().session.execute(insert(things).values(row))
    return row


@shelf.route("/<uuid:thing_id>")
@shelf.response(200, Thing)
def one(thing_id: UUID) -> Any:
    return found(thing_id)


@shelf.route("/<uuid:thing_id>", methods=["DELETE"])
@shelf.response(200)
@allowed(may_drop_things)
def drop(thing_id: UUID) -> None:
    found(thing_id)
    uow().session.execute(delete(things).where(things.c.id == thing_id))


def found(thing_id: UUID) -> Any:
    row = uow().session.execute(select(things).where(things.c.id == thing_id)).one_or_none()
    if row is None:
        raise NotFound
    return row


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    metadata.create_all(database.engine)
    return Trial(database, clock, shelf)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_the_description_knows(trial: Trial, mode: GenerationMode) -> None:
    described = schemathesis.openapi.from_wsgi("/openapi.json", trial.app).include(path_regex="^/api/v1/things")
    for operation in [result.ok() for result in described.get_all_operations() if isinstance(result, Ok)]:

        @hypothesis.settings(max_examples=50)
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def answers_as_described(case: schemathesis.Case[Any]) -> None:
            # No description can say which cursors were given out.
            case.call_and_validate(headers=trial.callers.headers("admin"), excluded_checks=[positive_data_acceptance])

        answers_as_described()
