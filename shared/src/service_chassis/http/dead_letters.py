"""Dead letters over HTTP, for those who run the service: look, try again, or drop, by filter and with a dry run."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from service_chassis.database.paging import Page
from service_chassis.errors import NotFound
from service_chassis.http.envelope import Blueprint
from service_chassis.http.fields import Instant
from service_chassis.http.guard import allowed
from service_chassis.http.unit import uow
from service_chassis.messaging import failures
from service_chassis.messaging.failures import Filter
from service_chassis.tokens import Principal

LONGEST = 500

dead_letters = Blueprint(
    "dead-letters", __name__, url_prefix="/api/v1/dead-letters", description="Events that could not be handled."
)


class LetterNotFound(NotFound):
    """There is no such dead letter."""

    code = "dead_letter_not_found"


def may_operate(caller: Principal) -> bool:
    return caller.role == "admin"


class LetterView(Schema):
    id = fields.UUID(required=True)
    type = fields.String(required=True)
    subject = fields.String(required=True)
    message_id = fields.String(required=True)
    reason = fields.String(required=True)
    error = fields.String(required=True)
    attempts = fields.Integer(required=True)
    first_failed_at = fields.DateTime(required=True)
    last_failed_at = fields.DateTime(required=True)
    correlation_id = fields.String(required=True)


class LetterWithBody(LetterView):
    body = fields.String(required=True)


class Choice(Schema):
    """Which dead letters are meant; what is left out does not restrict."""

    ids = fields.List(fields.UUID(), validate=validate.Length(1, LONGEST))
    type = fields.String(validate=validate.Length(1, 200))
    reason = fields.String(validate=validate.Length(1, 200))
    subject = fields.String(validate=validate.Length(1, 200))
    since = Instant()
    until = Instant()


class Action(Choice):
    all = fields.Boolean(load_default=False, metadata={"description": "Every dead letter; says so on purpose."})
    dry_run = fields.Boolean(load_default=False, metadata={"description": "Only say how many that would be."})

    @validates_schema
    def _check_scope(self, data: Mapping[str, Any], **_: Any) -> None:
        restricted = data.keys() - {"all", "dry_run"}
        if bool(restricted) == data["all"]:
            raise ValidationError("Name a filter, or say all, and not both.", "all")


class ListQuery(Schema):
    type = fields.String(validate=validate.Length(1, 200))
    reason = fields.String(validate=validate.Length(1, 200))
    subject = fields.String(validate=validate.Length(1, 200))
    limit = fields.Integer(load_default=100, validate=validate.Range(1, LONGEST))


class Affected(Schema):
    count = fields.Integer(required=True)
    dry_run = fields.Boolean(required=True)


@dead_letters.route("")
@dead_letters.arguments(ListQuery, location="query")
@dead_letters.response(200, LetterView(many=True))
@allowed(may_operate)
def list_letters(query: dict[str, Any]) -> Page[Any]:
    """List dead letters, newest first."""
    limit = query.pop("limit")
    return Page.whole(failures.listed(uow().session, Filter(**query), limit))


@dead_letters.route("/<uuid:letter_id>")
@dead_letters.response(200, LetterWithBody)
@allowed(may_operate)
def show_letter(letter_id: UUID) -> Any:
    """Return a dead letter with its body."""
    letters = failures.listed(uow().session, Filter(ids=[letter_id]))
    if not letters:
        raise LetterNotFound
    return letters[0]


@dead_letters.route("/redrive", methods=["POST"])
@dead_letters.arguments(Action)
@dead_letters.response(200, Affected, description="Dead letters will be tried again")
@allowed(may_operate)
def redrive(action: dict[str, Any]) -> Mapping[str, Any]:
    """Give dead letters a fresh set of attempts."""
    dry_run, _ = action.pop("dry_run"), action.pop("all")
    chosen = Filter(**action)
    unit = uow()
    count = failures.count(unit.session, chosen) if dry_run else failures.redrive(unit.session, chosen, unit.now)
    return {"count": count, "dry_run": dry_run}


@dead_letters.route("/drop", methods=["POST"])
@dead_letters.arguments(Action)
@dead_letters.response(200, Affected, description="Dead letters dropped")
@allowed(may_operate)
def drop(action: dict[str, Any]) -> Mapping[str, Any]:
    """Delete dead letters for good."""
    dry_run, _ = action.pop("dry_run"), action.pop("all")
    chosen = Filter(**action)
    session = uow().session
    count = failures.count(session, chosen) if dry_run else failures.drop(session, chosen)
    return {"count": count, "dry_run": dry_run}
