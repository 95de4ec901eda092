"""What verifiers ask for. These answers are bare: their forms are standards, or known to verifiers only."""

import flask
import msgspec
from flask import Response, request

from service_chassis.http import public, takes_query
from user_service.http.dependencies import parts, uow
from user_service.usecases import revocations

JSON = "application/json"

verifiers = flask.Blueprint("verifiers", __name__)


@verifiers.get("/.well-known/jwks.json")
@public
def jwks() -> Response:
    answer = Response(msgspec.json.encode(parts().tokens.keys.jwks()), content_type=JSON)
    answer.headers["Cache-Control"] = "public, max-age=300"
    return answer


@verifiers.get("/internal/revocations")
@takes_query("after")
@public
def revoked() -> Response:
    feed = revocations.feed(uow(), request.args.get("after"))
    return Response(msgspec.json.encode(feed), content_type=JSON)
