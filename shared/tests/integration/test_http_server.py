import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from cheroot import wsgi
from marshmallow import Schema, fields

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.http import Blueprint
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

things = Blueprint("things", __name__, url_prefix="/api/v1/things")


class Thing(Schema):
    name = fields.String(required=True)


@things.route("", methods=["POST"])
@things.arguments(Thing)
@things.response(201, Thing)
def make(body: dict[str, Any]) -> dict[str, Any]:
    return body


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    return Trial(database, clock, things, body_limit=1000)


@pytest.fixture
def port(trial: Trial) -> Iterator[int]:
    server = wsgi.Server(("127.0.0.1", 0), trial.app, numthreads=1)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server.bind_addr[1]
    server.stop()
    thread.join()


@pytest.mark.parametrize(("size", "status"), [(900, 201), (2000, 413)])
def test_the_limit_of_a_body_holds_also_where_its_length_is_not_given(
    trial: Trial, port: int, size: int, status: int
) -> None:
    headers = {**trial.callers.headers(), "Content-Type": "application/json", "Connection": "close"}
    chunks = [b'{"name": "', b"x" * size, b'"}']

    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        # Who has heard enough may hang up before everything is sent; the answer is there all the same.
        with suppress(BrokenPipeError):
            connection.request("POST", "/api/v1/things", body=iter(chunks), headers=headers, encode_chunked=True)
        answer = connection.getresponse()
        answer.read()

    assert answer.status == status
