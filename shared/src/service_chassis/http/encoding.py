"""JSON by msgspec: fast, strict, instants in RFC 3339, keys in the order they were given."""

from typing import Any

import msgspec
from flask import Response
from flask.json.provider import JSONProvider


class JsonProvider(JSONProvider):
    def dumps(self, obj: Any, **_: Any) -> str:
        return msgspec.json.encode(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return msgspec.json.decode(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return json_response(self._prepare_response_obj(args, kwargs))


def json_response(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, mimetype="application/json")
