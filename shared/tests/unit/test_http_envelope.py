from typing import Any

import pytest
from marshmallow import Schema, fields

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.http import Blueprint, Page, Paging, public
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

KEYS = ["success", "data", "error", "message", "meta"]
things = Blueprint("things", __name__, url_prefix="/api/v1/things")


class Thing(Schema):
    name = fields.String(required=True)


@things.route("/one")
@things.response(200, Thing)
def one() -> dict[str, str]:
    return {"name": "anvil", "secret": "not declared"}


@things.route("")
@things.response(200, Thing(many=True))
def several() -> Page[dict[str, str]]:
    return Page([{"name": "anvil"}], total=3, paging=Paging(limit=1, page=2))


@things.route("/few")
@things.response(200, Thing(many=True))
def few() -> Page[dict[str, str]]:
    return Page.whole([{"name": "anvil"}, {"name": "bellows"}])


@things.route("", methods=["POST"])
@things.response(201, Thing, description="The thing was made.")
def make() -> tuple[dict[str, str], dict[str, str]]:
    return {"name": "anvil"}, {"Location": "/api/v1/things/anvil"}


@things.route("/one", methods=["DELETE"])
@things.response(200)
def drop() -> None:
    return None


@things.route("/either", methods=["PUT"])
@things.response(200, Thing)
def either() -> tuple[dict[str, str], int]:
    return {"name": "anvil"}, 201


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    return Trial(database, clock, things)


def answer(trial: Trial, method: str, path: str) -> Any:
    return trial.client().open(path, method=method).json


def test_an_answer_has_all_five_keys_and_only_what_the_schema_declares(trial: Trial) -> None:
    """S1-13, S4-34."""
    body = answer(trial, "GET", "/api/v1/things/one")

    assert list(body) == KEYS
    assert body == {"success": True, "data": {"name": "anvil"}, "error": None, "message": "OK", "meta": None}


def test_an_error_has_all_five_keys(trial: Trial) -> None:
    body = answer(trial, "GET", "/nowhere")

    assert list(body) == KEYS
    assert body == {
        "success": False,
        "data": None,
        "error": "not_found",
        "message": "There is nothing here.",
        "meta": None,
    }


def test_a_list_says_which_piece_of_the_whole_it_is(trial: Trial) -> None:
    """S4-35."""
    body = answer(trial, "GET", "/api/v1/things")

    assert body["data"] == [{"name": "anvil"}]
    assert body["meta"] == {
        "total": 3,
        "limit": 1,
        "page": 2,
        "total_pages": 3,
        "has_next": True,
        "has_previous": True,
    }


def test_a_list_that_is_short_by_nature_is_one_page(trial: Trial) -> None:
    meta = answer(trial, "GET", "/api/v1/things/few")["meta"]

    assert (meta["total"], meta["total_pages"], meta["has_next"]) == (2, 1, False)


def test_a_view_without_a_result_answers_with_null(trial: Trial) -> None:
    assert answer(trial, "DELETE", "/api/v1/things/one")["data"] is None


def test_the_description_of_a_response_is_the_message(trial: Trial) -> None:
    assert answer(trial, "POST", "/api/v1/things")["message"] == "The thing was made."


def test_a_view_may_add_headers_and_choose_another_status(trial: Trial) -> None:
    made = trial.client().post("/api/v1/things")
    either = trial.client().put("/api/v1/things/either")

    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/things/anvil")
    assert either.status_code == 201


@pytest.mark.parametrize("path", ["/api/v1/things/one", "/api/v1/things", "/api/v1/health", "/openapi.json"])
def test_a_slash_at_the_end_makes_no_difference(trial: Trial, path: str) -> None:
    without, with_slash = trial.client().get(path), trial.client().get(f"{path}/")

    assert without.status_code == with_slash.status_code == 200
    assert without.json == with_slash.json


def test_nobody_is_redirected(trial: Trial) -> None:
    assert trial.client().get("//api//v1/things").status_code == 404


def test_a_view_must_be_a_function(trial: Trial) -> None:
    from flask.views import MethodView

    class Things(MethodView):
        @public
        def get(self) -> None: ...

    with pytest.raises(TypeError, match="function"):
        Blueprint("classes", __name__).add_url_rule("/things", view_func=Things)
