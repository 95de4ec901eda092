import io
from typing import Any

import pytest
from marshmallow import Schema, fields, validate
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import ImATeapot
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.database import Database, DatabaseUnavailable
from service_chassis.errors import Conflict, ServiceError, Unavailable
from service_chassis.http import Blueprint, takes_query
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

things = Blueprint("things", __name__, url_prefix="/api/v1/things")


class Broken(Conflict):
    """The thing is broken."""

    code = "thing_broken"


class Size(Schema):
    width = fields.Integer(required=True)


class Body(Schema):
    name = fields.String(required=True, validate=validate.Length(min=1))
    sizes = fields.List(fields.Nested(Size))
    count = fields.Integer()


class Filters(Schema):
    colour = fields.String(validate=validate.OneOf(["red", "blue"]))


class Sizes(Schema):
    least = fields.Integer(data_key="at_least")


RAISED: dict[str, Exception] = {
    "ours": Broken(fields={"handle": ["It came off."]}),
    "later": Unavailable("Come back.", retry_after=1.2),
    "database": DatabaseUnavailable(retry_after=2),
    "integrity": IntegrityError("INSERT INTO things", {}, Exception("UNIQUE failed: things.secret_name")),
    "unexpected": KeyError("secret detail"),
    "our fault": ServiceError("It is the service's fault."),
    "framework": ImATeapot(),
}


@things.route("", methods=["POST"])
@things.arguments(Body)
@things.response(200)
def make(body: dict[str, Any]) -> None: ...


@things.route("")
@things.arguments(Filters, location="query")
@things.arguments(Sizes, location="query")
@things.response(200)
def several(filters: dict[str, Any], sizes: dict[str, Any]) -> None: ...


@things.route("/<int:number>")
@things.response(200)
def one(number: int) -> None: ...


@things.route("/<int:number>/raw")
@things.response(200)
@takes_query("verbose")
def one_raw(number: int) -> None: ...


@things.route("/raise/<string:what>")
@things.response(200)
def fail(what: str) -> None:
    raise RAISED[what]


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    return Trial(database, clock, things, body_limit=100)


def failing(trial: Trial, what: str) -> TestResponse:
    return trial.client().get(f"/api/v1/things/raise/{what}")


def posting(trial: Trial, body: bytes, content_type: str = "application/json") -> TestResponse:
    return trial.client().post("/api/v1/things", data=body, content_type=content_type)


def errors_of(response: TestResponse) -> Any:
    assert response.json is not None
    assert (response.status_code, response.json["error"]) == (400, "validation_failed")
    return response.json["data"]["errors"]


def test_an_error_answers_with_what_its_class_declares(trial: Trial) -> None:
    response = failing(trial, "ours")

    assert response.status_code == 409
    assert response.json == {
        "success": False,
        "data": {"errors": {"handle": ["It came off."]}},
        "error": "thing_broken",
        "message": "The thing is broken.",
        "meta": None,
    }


def test_whoever_should_try_again_is_told_when_in_whole_seconds(trial: Trial) -> None:
    assert failing(trial, "later").headers["Retry-After"] == "2"


def test_an_unreachable_database_is_503(trial: Trial) -> None:
    response = failing(trial, "database")

    assert (response.status_code, response.json["error"]) == (503, "database_unavailable")  # type: ignore[index]
    assert response.headers["Retry-After"] == "2"
    assert trial.log()[0]["event"] == "request_unavailable"


@pytest.mark.parametrize("what", ["integrity", "unexpected"])
def test_what_nobody_foresaw_is_500_and_told_to_the_log_only(trial: Trial, what: str) -> None:
    response = failing(trial, what)

    assert (response.status_code, response.json["error"]) == (500, "internal_error")  # type: ignore[index]
    assert "secret" not in response.text
    assert "INSERT" not in response.text
    line = next(line for line in trial.log() if line["event"] == "request_failed")
    assert "Traceback" in line["exception"]
    assert "secret" in line["exception"]


def test_an_error_that_is_the_services_own_fault_is_logged_with_its_trace(trial: Trial) -> None:
    assert failing(trial, "our fault").status_code == 500
    assert "Traceback" in trial.log()[0]["exception"]


def test_errors_of_the_framework_come_in_the_envelope(trial: Trial) -> None:
    response = failing(trial, "framework")

    assert (response.status_code, response.json["error"]) == (418, "i'm_a_teapot")  # type: ignore[index]


def test_a_wrong_method_is_405_and_names_the_right_ones(trial: Trial) -> None:
    response = trial.client().patch("/api/v1/things")

    assert (response.status_code, response.json["error"]) == (405, "method_not_allowed")  # type: ignore[index]
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_options_is_a_method_like_any_other(trial: Trial) -> None:
    assert trial.client().options("/api/v1/things").status_code == 405


def test_every_wrong_field_is_named_nested_ones_by_their_path(trial: Trial) -> None:
    response = posting(trial, b'{"name": "", "sizes": [{"width": 1}, {"width": "x"}], "colour": 1}')

    assert errors_of(response) == {
        "name": ["Shorter than minimum length 1."],
        "sizes.1.width": ["Not a valid integer."],
        "colour": ["Unknown field."],
    }


def test_a_missing_body_lacks_its_required_fields(trial: Trial) -> None:
    assert errors_of(trial.client().post("/api/v1/things")) == {"name": ["Missing data for required field."]}


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1"])
def test_a_body_that_is_no_object_is_not_valid(trial: Trial, body: bytes) -> None:
    assert errors_of(posting(trial, body)) == {"_schema": ["Invalid input type."]}


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"name": NaN}', b'{"name": 1e999}', b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"{} {}"],
)
def test_what_is_no_json_is_malformed(trial: Trial, body: bytes) -> None:
    response = posting(trial, body)

    assert (response.status_code, response.json["error"]) == (400, "malformed_json")  # type: ignore[index]


def test_json_that_is_nested_without_end_is_malformed(database: Database, clock: ManualClock) -> None:
    response = posting(Trial(database, clock, things), b"[" * 100_000)

    assert (response.status_code, response.json["error"]) == (400, "malformed_json")  # type: ignore[index]


def test_values_no_database_can_hold_are_named(trial: Trial) -> None:
    response = posting(trial, b'{"name": "a\\u0000b", "count": 9223372036854775808}')

    assert errors_of(response) == {
        "name": ["A text must not contain the character NUL."],
        "count": ["A number must fit into 64 bits."],
    }


def test_such_values_are_found_wherever_they_are(trial: Trial) -> None:
    response = posting(trial, b'{"name": "x", "sizes": [{"width": 1}, {"a\\u0000": 1, "width": -9223372036854775808}]}')

    assert errors_of(response) == {
        "sizes.1": ["A text must not contain the character NUL."],
        "sizes.1.width": ["A number must fit into 64 bits."],
    }


def test_long_numbers_and_backslashes_in_texts_are_fine(trial: Trial) -> None:
    assert posting(trial, b'{"name": "12345678901234567890 \\\\u0000"}').status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_415(trial: Trial, content_type: str) -> None:
    response = posting(trial, b'{"name": "anvil"}', content_type)

    assert (response.status_code, response.json["error"]) == (415, "unsupported_media_type")  # type: ignore[index]


def test_a_body_that_says_it_is_too_large_is_413(trial: Trial) -> None:
    response = posting(trial, b'{"name": "%s"}' % (b"x" * 100))

    assert (response.status_code, response.json["error"]) == (413, "body_too_large")  # type: ignore[index]


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
def test_a_chunked_body_that_turns_out_too_large_is_413(trial: Trial, size: int, status: int) -> None:
    response = trial.client().post(
        "/api/v1/things",
        input_stream=io.BytesIO(b'{"name": "%s"}' % (b"x" * (size - 12))),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert response.status_code == status


def test_unknown_query_parameters_are_named_also_where_a_view_knows_none(trial: Trial) -> None:
    listed = trial.client().get("/api/v1/things?color=red&colour=red&at_least=1")
    one = trial.client().get("/api/v1/things/1?verbose=1")

    assert errors_of(listed) == {"color": ["Unknown parameter."]}
    assert errors_of(one) == {"verbose": ["Unknown parameter."]}


def test_a_parameter_given_twice_is_named_instead_of_one_being_chosen(trial: Trial) -> None:
    listed = trial.client().get("/api/v1/things?limit=1&limit=2")

    assert listed.status_code == 400
    assert errors_of(listed) == {"limit": ["This parameter can be given once."]}


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("identity, br", 415), ("identity", 200)])
def test_a_body_that_is_encoded_is_not_read_as_if_it_were_not(trial: Trial, encoding: str, status: int) -> None:
    answer = trial.client().get("/api/v1/things", headers={"Content-Encoding": encoding})

    assert answer.status_code == status


def test_bad_query_values_are_named_as_the_caller_wrote_them(trial: Trial) -> None:
    colour = trial.client().get("/api/v1/things?colour=green")
    at_least = trial.client().get("/api/v1/things?at_least=many")

    assert errors_of(colour) == {"colour": ["Must be one of: red, blue."]}
    assert errors_of(at_least) == {"at_least": ["Not a valid integer."]}


def test_two_schemas_may_share_one_query(trial: Trial) -> None:
    assert trial.client().get("/api/v1/things?colour=red&at_least=1").status_code == 200


def test_a_view_may_name_the_parameters_it_reads_by_itself(trial: Trial) -> None:
    assert trial.client().get("/api/v1/things/1/raw?verbose=1").status_code == 200
    assert errors_of(trial.client().get("/api/v1/things/1/raw?loud=1")) == {"loud": ["Unknown parameter."]}


def test_nul_has_no_place_in_an_address(trial: Trial) -> None:
    in_query = trial.client().get("/api/v1/things?colour=a%00b")
    in_path = trial.client().get("/api/v1/things/raise/a%00b")

    assert errors_of(in_query) == {"colour": ["A text must not contain the character NUL."]}
    assert in_path.status_code == 404


def test_a_number_in_a_path_that_no_database_knows_is_not_found(trial: Trial) -> None:
    assert trial.client().get(f"/api/v1/things/{2**63 - 1}").status_code == 200
    assert trial.client().get(f"/api/v1/things/{2**63}").status_code == 404
