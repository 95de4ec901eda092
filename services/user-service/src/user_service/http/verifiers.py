"""What the gateway and other services ask for. These answers are bare: standards, or known to our own clients only.

What verifiers need is open, for they cannot have a token before they have verified anything.
"""

from typing import Annotated, Any, TypeVar
from uuid import UUID

import flask
import msgspec
from flask import Response, request

from service_chassis.http import allowed, public, short_read, takes_no_key, takes_query
from service_chassis.http.errors import MalformedJson
from user_service.http.dependencies import may_look_up_states, parts, uow
from user_service.usecases import opaque_tokens, revocations

JSON = "application/json"
MOST_IDS = 500

T = TypeVar("T")


class _Presented(msgspec.Struct):
    token: str


class _AskedAbout(msgspec.Struct):
    ids: Annotated[list[UUID], msgspec.Meta(max_length=MOST_IDS)]


verifiers = flask.Blueprint("verifiers", __name__)


@verifiers.get("/.well-known/jwks.json")
@public
def jwks() -> Response:
    answer = _bare(parts().tokens.keys.jwks())
    answer.headers["Cache-Control"] = "public, max-age=300"
    return answer


@verifiers.post("/internal/tokens/exchange")
@public
@takes_no_key
def exchange() -> Response:
    parts().tokens.keys.at_hand()
    return _bare(opaque_tokens.exchange(uow(), _body(_Presented).token, parts().tokens))


@verifiers.get("/internal/revocations")
@takes_query("after")
@public
def revoked() -> Response:
    return _bare(revocations.feed(uow(), request.args.get("after")))


@verifiers.post("/internal/users/lookup")
@allowed(may_look_up_states)
@takes_no_key
def users() -> Response:
    """Return what projections hold of users, for a service that would refuse somebody because of its own."""
    asked = _body(_AskedAbout)
    with short_read() as unit:
        return _bare(unit.users.states(asked.ids))


def _body(form: type[T]) -> T:
    try:
        return msgspec.json.decode(request.get_data(), type=form)
    except msgspec.MsgspecError as error:
        raise MalformedJson(str(error)) from error


def _bare(answer: Any) -> Response:
    return Response(msgspec.json.encode(answer), content_type=JSON)
