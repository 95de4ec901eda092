import base64
from typing import Any

import msgspec
import pytest
from marshmallow import Schema, fields
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.database.paging import ascending, fetch_page
from service_chassis.http import Blueprint, Page, PageQuery, Paging, uow
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

metadata = MetaData()
towns = Table("towns", metadata, Column("id", Integer, primary_key=True), Column("name", Text, nullable=False))
atlas = Blueprint("atlas", __name__, url_prefix="/api/v1/towns")


class Town(Schema):
    id = fields.Integer()


class Filters(Schema):
    name = fields.String()


@atlas.route("")
@atlas.arguments(PageQuery, location="query")
@atlas.arguments(Filters, location="query")
@atlas.response(200, Town(many=True))
def listed(paging: Paging, filters: dict[str, str]) -> Page[Any]:
    statement = select(towns).filter_by(**filters)
    return fetch_page(uow().session, statement, ascending(towns.c.name, towns.c.id), paging)


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    metadata.create_all(database.engine)
    return Trial(database, clock, atlas)


def settle(database: Database, count: int) -> None:
    with database.writing() as session:
        session.execute(insert(towns), [{"id": number, "name": f"town-{number % 3}"} for number in range(count)])


def listing(trial: Trial, query: str = "") -> Any:
    return trial.client().get(f"/api/v1/towns?{query}").json


def refused(response: TestResponse) -> Any:
    assert response.json is not None
    assert response.status_code == 400
    return response.json["error"], response.json["data"]


def forged(*position: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def test_an_empty_list_has_no_pages(trial: Trial) -> None:
    answer = listing(trial)

    assert answer["data"] == []
    assert answer["meta"] == {
        "total": 0,
        "limit": 20,
        "page": 1,
        "total_pages": 0,
        "has_next": False,
        "has_previous": False,
    }


def test_a_page_holds_20_unless_asked_otherwise_and_never_more_than_100(trial: Trial, database: Database) -> None:
    settle(database, 120)

    assert len(listing(trial)["data"]) == 20
    assert len(listing(trial, "limit=7")["data"]) == 7
    many = listing(trial, "limit=1000")
    assert (len(many["data"]), many["meta"]["limit"]) == (100, 100)


def test_pages_together_are_the_whole_list(trial: Trial, database: Database) -> None:
    settle(database, 7)

    answers = [listing(trial, f"limit=3&page={page}") for page in (1, 2, 3)]

    assert [town["id"] for answer in answers for town in answer["data"]] == [0, 3, 6, 1, 4, 2, 5]
    assert [(a["meta"]["has_previous"], a["meta"]["has_next"]) for a in answers] == [
        (False, True),
        (True, True),
        (True, False),
    ]
    assert {(a["meta"]["total"], a["meta"]["total_pages"]) for a in answers} == {(7, 3)}


@pytest.mark.parametrize("page", [4, 2**63 - 1])
def test_a_page_past_the_end_is_empty(trial: Trial, database: Database, page: int) -> None:
    settle(database, 7)

    answer = listing(trial, f"limit=3&page={page}")

    assert (answer["success"], answer["data"]) == (True, [])
    assert (answer["meta"]["page"], answer["meta"]["has_next"], answer["meta"]["has_previous"]) == (page, False, True)


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=", "page=1.5", f"page={2**63}"])
def test_a_bad_page_number_is_refused(trial: Trial, query: str) -> None:
    error, data = refused(trial.client().get(f"/api/v1/towns?{query}"))

    assert error == "validation_failed"
    assert list(data["errors"]) == ["page"]


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit="])
def test_a_bad_limit_is_refused(trial: Trial, query: str) -> None:
    error, data = refused(trial.client().get(f"/api/v1/towns?{query}"))

    assert error == "validation_failed"
    assert list(data["errors"]) == ["limit"]


def test_cursors_lead_through_the_whole_list(trial: Trial, database: Database) -> None:
    settle(database, 7)
    seen: list[list[int]] = []
    cursor: str | None = ""

    while cursor is not None:
        answer = listing(trial, f"limit=3&cursor={cursor}")
        seen.append([town["id"] for town in answer["data"]])
        cursor = answer["meta"]["next_cursor"]

    assert seen == [[0, 3, 6], [1, 4, 2], [5]]


def test_with_a_cursor_the_meta_has_no_page_but_the_next_cursor(trial: Trial, database: Database) -> None:
    settle(database, 4)

    first = listing(trial, "limit=3&cursor=")["meta"]
    last = listing(trial, f"limit=3&cursor={first['next_cursor']}")["meta"]

    assert first.pop("next_cursor")
    assert first == {
        "total": 4,
        "limit": 3,
        "page": None,
        "total_pages": 2,
        "has_next": True,
        "has_previous": False,
    }
    assert (last["next_cursor"], last["has_next"], last["has_previous"]) == (None, False, True)


def test_rows_that_come_or_go_meanwhile_do_not_shift_what_a_cursor_leads_to(trial: Trial, database: Database) -> None:
    settle(database, 6)
    first = listing(trial, "limit=3&cursor=")

    with database.writing() as session:
        session.execute(towns.delete().where(towns.c.id == 0))
        session.execute(insert(towns).values(id=9, name="a town before all others"))
    second = listing(trial, f"limit=3&cursor={first['meta']['next_cursor']}")

    assert [town["id"] for town in first["data"] + second["data"]] == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "%", "ä", "bm9wZQ", "Ww"),
        *(forged(), forged("a"), forged("a", 1, 2)),
        *(forged(1, 1), forged("a", "b"), forged("a", None), forged("a\0", 1), forged("a", 2**63)),
    ],
)
def test_a_cursor_that_was_not_given_out_is_refused(trial: Trial, cursor: str) -> None:
    response = trial.client().get("/api/v1/towns", query_string={"cursor": cursor})

    assert refused(response)[0] == "invalid_cursor"


def test_page_and_cursor_exclude_each_other(trial: Trial) -> None:
    error, data = refused(trial.client().get("/api/v1/towns?page=1&cursor="))

    assert (error, data) == ("validation_failed", {"errors": {"page": ["Page and cursor exclude each other."]}})


@pytest.mark.parametrize("mode", ["page=1", "cursor="])
def test_a_link_leads_to_the_next_piece_under_the_same_filters(trial: Trial, database: Database, mode: str) -> None:
    settle(database, 9)

    first = trial.client().get(f"/api/v1/towns?name=town-1&limit=2&{mode}")
    target, relation = first.headers["Link"].split("; ")
    second = trial.client().get(target.strip("<>"))

    assert relation == 'rel="next"'
    assert second.json is not None
    assert [town["id"] for town in second.json["data"]] == [7]
    assert "Link" not in second.headers
