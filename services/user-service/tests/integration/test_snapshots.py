"""Services can have all states this service owns, and only services can."""

import gzip
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from event_contracts import AccountDeleted, AccountUpdated, UserPurged, UserUpdated, by_type
from service_chassis.clock import ManualClock
from service_chassis.messaging.envelope import Event, received
from service_chassis.service import Service
from service_chassis.snapshots import source
from service_chassis.snapshots.exchanged import Digests, Page
from user_service.model.service_client import Scope
from user_service.model.user import User
from user_service.usecases import erasure, service_clients

Ask = Callable[..., Any]


@pytest.fixture
def as_service(service: Service, web: FlaskClient) -> FlaskClient:
    with service.units.write() as uow:
        secret = service_clients.create(uow, "task-service", [Scope.READ_SNAPSHOTS]).plain
    given = web.post("/api/v1/auth/token", json={"client_id": "task-service", "client_secret": secret})
    client: FlaskClient = web.application.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {given.get_json()['data']['access_token']}"
    return client


def page(client: FlaskClient, name: str, **query: str) -> tuple[list[Event], Page]:
    answer = client.get(f"/internal/snapshots/{name}", query_string=query)
    assert answer.status_code == 200, answer.text
    page = msgspec.json.decode(answer.data, type=Page)
    return [received(envelope, by_type[envelope.type]) for envelope in page.events], page


def test_a_snapshot_tells_of_everybody_as_events_would(as_service: FlaskClient, anna: User) -> None:
    events, last = page(as_service, "users")

    assert (len(events), last.next, last.total) == (2, None, 2)
    told = events[-1]
    assert (told.type, told.subject, told.version) == (UserUpdated.type, str(anna.id), anna.version)
    assert (told.data.email, told.data.registered_at) == (anna.email, anna.registered_at)


def test_whoever_was_purged_is_told_as_gone_since_then(
    service: Service, as_service: FlaskClient, anna: User, clock: ManualClock
) -> None:
    with service.units.write() as uow:
        erasure.purge(uow, anna.id, "asked for it", by="anna", tokens_live=service.parts.settings.access_token_lifetime)

    (_, told), _ = page(as_service, "users")

    assert (told.type, told.subject, told.data.purged_at) == (UserPurged.type, str(anna.id), clock.now())
    accounts, _ = page(as_service, "accounts")
    assert [event.type for event in accounts] == [AccountUpdated.type, AccountDeleted.type]


def test_pages_follow_one_another_by_their_cursors(
    as_service: FlaskClient, anna: User, bert: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PAGE", 2)

    first, more = page(as_service, "users")
    rest, last = page(as_service, "users", cursor=str(more.next))

    assert more.next == str(anna.id)
    assert [event.subject for event in rest] == [str(bert.id)]
    assert (len(first), last.next, last.total) == (2, None, None)
    upto, _ = page(as_service, "users", to=str(anna.id))
    assert [event.subject for event in upto] == [event.subject for event in first]


def test_an_answer_is_compressed_for_those_who_can_read_it(as_service: FlaskClient, anna: User) -> None:
    answer = as_service.get("/internal/snapshots/users", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(msgspec.json.decode(gzip.decompress(answer.data), type=Page).events) == 2


def test_digests_tell_how_much_there_is_in_each_part(as_service: FlaskClient, anna: User, bert: User) -> None:
    answer = as_service.post("/internal/snapshots/users/digests", json={"ranges": [{}], "parts": 3})

    told = msgspec.json.decode(answer.data, type=Digests)
    assert [part.count for part in told.parts] == [1, 1, 1, 0]
    assert told.epoch == 0


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("nothing", 404, "no_such_snapshot"), ("users?cursor=x", 400, "invalid_cursor")],
)
def test_what_is_not_there_is_refused(as_service: FlaskClient, path: str, status: int, code: str) -> None:
    answer = as_service.get(f"/internal/snapshots/{path}")

    assert (answer.status_code, answer.get_json()["error"]) == (status, code)


def test_only_services_are_told(web: FlaskClient, as_anna: FlaskClient) -> None:
    for path in ("users", "accounts"):
        assert web.get(f"/internal/snapshots/{path}").status_code == 401
        assert as_anna.get(f"/internal/snapshots/{path}").status_code == 403
    assert as_anna.post("/internal/snapshots/users/digests", json={"ranges": [], "parts": 1}).status_code == 403
