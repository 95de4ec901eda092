"""The routes by which other services ask an owner for its states; the answers are bare, for our own clients."""

import gzip
from collections.abc import Sequence

import flask
import msgspec
from flask import Response, request

from service_chassis.errors import NotFound
from service_chassis.http.errors import MalformedJson
from service_chassis.http.guard import allowed
from service_chassis.http.idempotency import takes_no_key
from service_chassis.http.marks import takes_query
from service_chassis.http.unit import short_read
from service_chassis.snapshots.exchanged import FROM_THE_START, DigestsAsked, Range
from service_chassis.snapshots.source import Source
from service_chassis.tokens import Principal

JSON = "application/json"
SCOPE = "snapshots.read"
"""What a service's token has to be for."""
FAST = 1
"""How hard to compress: the next levels take twice the time for a tenth of the size."""


class NoSuchSnapshot(NotFound):
    """This service hands out no states of that name."""

    code = "no_such_snapshot"


def may_read_snapshots(caller: Principal) -> bool:
    return SCOPE in caller.scopes


def snapshots(sources: Sequence[Source]) -> flask.Blueprint:
    """Return the routes under which these states are handed out."""
    by_name = {source.name: source for source in sources}
    routes = flask.Blueprint("snapshots", __name__, url_prefix="/internal/snapshots")

    def chosen(name: str) -> Source:
        if name not in by_name:
            raise NoSuchSnapshot
        return by_name[name]

    @routes.get("/<name>")
    @allowed(may_read_snapshots)
    @takes_query("cursor", "to")
    def page(name: str) -> Response:
        asked = Range(request.args.get("cursor", FROM_THE_START), request.args.get("to"))
        with short_read() as uow:
            return _compressed(chosen(name).page(uow, asked))

    @routes.post("/<name>/digests")
    @allowed(may_read_snapshots)
    @takes_no_key
    def digests(name: str) -> Response:
        asked = _asked()
        with short_read() as uow:
            return _compressed(msgspec.json.encode(chosen(name).digests(uow, asked.ranges, asked.parts)))

    return routes


def _asked() -> DigestsAsked:
    try:
        return msgspec.json.decode(request.get_data(), type=DigestsAsked)
    except msgspec.MsgspecError as error:
        raise MalformedJson(str(error)) from error


def _compressed(body: bytes) -> Response:
    answer = Response(body, content_type=JSON)
    answer.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0:
        answer.set_data(gzip.compress(body, FAST))
        answer.content_encoding = "gzip"
    return answer
