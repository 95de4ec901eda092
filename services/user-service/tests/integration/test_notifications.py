"""Notifications: S4-25 to S4-31, and the two doors through which others ask for them."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pika
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, sampled_from, text
from werkzeug.test import TestResponse

from event_contracts import Contract, NotificationReady
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging import failures, outbox
from service_chassis.messaging.broker import Broker, Delivery, Message, Outcome
from service_chassis.messaging.connect import connect
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.foreign import ForeignConsumer
from service_chassis.service import Service
from service_chassis.testing.plugin import only_rabbitmq, only_sqlite
from service_chassis.testing.waiting import wait_until
from service_chassis.worker import Worker
from user_service.messaging.requests import NotificationRequested
from user_service.model.notification import Notification
from user_service.model.user import Role, User

Published = Callable[[type[Contract]], list[Event]]


@pytest.fixture
def worker(service: Service) -> Iterator[Worker]:
    worker = service.make_worker()
    yield worker
    worker._parts.broker.close()


@pytest.fixture
def push_queue(worker: Worker) -> ForeignConsumer:
    return worker.foreign[1]


def asked(user: User | UUID, **more: Any) -> dict[str, Any]:
    user_id = user.id if isinstance(user, User) else user
    wanted = {"notification_type": "email", "user_id": str(user_id), "template_code": "welcome"}
    return wanted | {"variables": {"link": "https://example.com", "meta": {"tries": 2}}} | more


def ask(client: FlaskClient, user: User | UUID, **more: Any) -> TestResponse:
    return client.post("/api/v1/notifications", json=asked(user, **more))


def delivery(body: dict[str, Any] | bytes, message_id: str = "") -> Delivery:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery(1, message_id, "notifications.direct", "push", "application/json", encoded)


def data(response: TestResponse) -> Any:
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def kept(service: Service) -> list[Notification]:
    with service.units.read() as uow:
        return list(uow.session.query(Notification).order_by(Notification.id))


def given_up(service: Service) -> list[bytes]:
    """Return what the outbox holds for `failed.queue`."""
    with service.units.read() as uow:
        messages = [message for _, message in outbox.pending(uow.session, 1000)]
    return [
        message.body
        for message in messages
        if (message.exchange, message.routing_key) == ("notifications.dlx", "failed")
    ]


def test_a_notification_is_completed_and_passed_on(
    as_anna: FlaskClient, anna: User, published: Published, clock: ManualClock
) -> None:
    """S4-28: who is asked for by id leaves with name and address."""
    accepted = ask(as_anna, anna, priority=7, request_id="order 7", metadata={"campaign": "spring"})

    assert accepted.status_code == 202
    assert (data(accepted)["type"], data(accepted)["status"], data(accepted)["priority"]) == ("email", "processing", 7)
    (ready,) = published(NotificationReady)
    assert str(ready.data.notification_id) == data(accepted)["id"]
    assert (ready.data.recipient, ready.data.name, ready.data.channel) == (anna.email, anna.name, "email")
    assert ready.data.variables == {"link": "https://example.com", "meta": {"tries": 2}}
    assert (ready.data.priority, ready.data.request_id, ready.data.metadata) == (7, "order 7", {"campaign": "spring"})
    assert (ready.data.sealed_variables, ready.data.requested_at) == (None, clock.now())


@only_sqlite
@pytest.mark.parametrize(
    ("channel", "changes", "reason"),
    [
        ("email", {"preferences": {"email": False}}, "email_off"),
        ("push", {"profile": {"push_token": "device"}, "preferences": {"push": False}}, "push_off"),
        ("push", {}, "no_push_token"),
        ("push", {"profile": {"push_token": ""}}, "no_push_token"),
    ],
)
def test_what_the_user_does_not_want_or_cannot_get_is_skipped_with_the_reason(
    as_anna: FlaskClient, published: Published, channel: str, changes: dict[str, Any], reason: str
) -> None:
    """S4-27."""
    for path, change in changes.items():
        assert as_anna.patch(f"/api/v1/users/{path}", json=change).status_code == 200

    me = UUID(data(as_anna.get("/api/v1/users/profile"))["id"])
    skipped = data(ask(as_anna, me, notification_type=channel))

    assert (skipped["status"], skipped["reason"]) == ("skipped", reason)
    assert published(NotificationReady) == []


def test_nobody_who_is_switched_off_is_notified(admin: FlaskClient, anna: User, published: Published) -> None:
    admin.delete(f"/api/v1/users/{anna.id}")

    assert data(ask(admin, anna))["reason"] == "user_inactive"
    assert published(NotificationReady) == []


def test_a_push_message_goes_to_the_push_token(as_anna: FlaskClient, anna: User, published: Published) -> None:
    as_anna.patch("/api/v1/users/profile", json={"push_token": "device 1"})

    ask(as_anna, anna, notification_type="push")

    (ready,) = published(NotificationReady)
    assert (ready.data.channel, ready.data.recipient) == ("push", "device 1")


def test_asking_again_under_the_same_name_changes_nothing(
    as_anna: FlaskClient, anna: User, published: Published
) -> None:
    answers = [data(ask(as_anna, anna, request_id="order 7")) for _ in range(2)]

    assert answers[0] == answers[1]
    assert len(published(NotificationReady)) == 1


def test_users_notify_themselves_managers_and_admins_everybody(
    as_anna: FlaskClient, admin: FlaskClient, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> None:
    bert, as_manager = new_user("bert"), signed_in(new_user("mia", Role.MANAGER).email)

    assert error(ask(as_anna, bert)) == (403, "may_not_notify")
    assert [ask(client, bert).status_code for client in (as_manager, admin)] == [202, 202]
    assert error(ask(admin, uuid4())) == (404, "user_not_found")
    assert len(data(admin.get("/api/v1/notifications"))) == 2
    assert data(as_anna.get("/api/v1/notifications")) == []


def test_the_list_is_filtered_and_shows_everybody_the_own_ones(
    as_anna: FlaskClient, admin: FlaskClient, anna: User, new_user: Callable[..., User]
) -> None:
    mine = data(ask(as_anna, anna))
    skipped = data(ask(as_anna, anna, notification_type="push"))
    other = data(ask(admin, new_user("bert")))

    def listed(client: FlaskClient, **query: Any) -> list[str]:
        return [seen["id"] for seen in data(client.get("/api/v1/notifications", query_string=query))]

    assert listed(as_anna) == listed(admin, user_id=anna.id) == [skipped["id"], mine["id"]]
    assert listed(admin) == [other["id"], skipped["id"], mine["id"]]
    assert listed(admin, status="skipped") == listed(admin, type="push") == [skipped["id"]]
    assert data(as_anna.get(f"/api/v1/notifications/{mine['id']}")) == mine
    assert error(as_anna.get(f"/api/v1/notifications/{other['id']}")) == (404, "notification_not_found")
    assert error(admin.get(f"/api/v1/notifications/{uuid4()}")) == (404, "notification_not_found")


def test_those_who_deliver_say_what_became_of_it(as_anna: FlaskClient, admin: FlaskClient, anna: User) -> None:
    asked_for = data(ask(as_anna, anna))["id"]

    def report(status: str, **more: Any) -> tuple[str, str | None]:
        body = {"notification_id": asked_for, "status": status, **more}
        noted = data(admin.post("/api/v1/email/status", json=body))
        return noted["status"], noted["reason"]

    assert report("pending", error="greylisted") == ("pending", "greylisted")
    assert report("failed", error="no such mailbox", timestamp="2030-01-15T12:00:00Z") == ("failed", "no such mailbox")
    assert report("pending") == ("failed", "no such mailbox")
    assert report("delivered") == ("sent", None)
    assert report("failed", error="too late") == ("sent", None)
    body = {"notification_id": asked_for, "status": "delivered"}
    assert error(as_anna.post("/api/v1/email/status", json=body)) == (403, "forbidden")
    assert error(admin.post("/api/v1/push/status", json=body)) == (404, "notification_not_found")


def test_a_request_from_the_queue_is_handled_once(
    push_queue: ForeignConsumer, as_anna: FlaskClient, anna: User, service: Service, published: Published
) -> None:
    """S4-25, S4-28."""
    as_anna.patch("/api/v1/users/profile", json={"push_token": "device 1"})
    body = asked(anna, notification_type="push", request_id="r-1", priority=3, metadata=None)

    for _ in range(2):
        push_queue.handle([delivery(body, message_id=str(uuid4()))])

    (ready,) = published(NotificationReady)
    assert (ready.data.recipient, ready.data.request_id, ready.data.priority) == ("device 1", "r-1", 3)
    assert [notification.status for notification in kept(service)] == ["processing"]


@pytest.mark.parametrize("named_by", ["request", "message", "message of another kind"])
def test_one_name_may_stand_for_a_request_to_each_of_many_users(
    push_queue: ForeignConsumer, anna: User, new_user: Callable[..., User], service: Service, named_by: str
) -> None:
    """As it may where requests come by HTTP."""
    bert = new_user("bert")
    request = {"request_id": "spring sale"} if named_by == "request" else {}
    message = {"request": "", "message": str(uuid4()), "message of another kind": "spring sale"}[named_by]
    bodies = [
        asked(user, notification_type=channel, **request) for user in (anna, bert) for channel in ("push", "email")
    ]

    for _ in range(2):
        push_queue.handle([delivery(body, message_id=message) for body in bodies])

    assert sorted((each.user_id, each.channel) for each in kept(service)) == sorted(
        (user.id, channel) for user in (anna, bert) for channel in ("push", "email")
    )


@pytest.mark.parametrize("message_id", ["m-1", "01938f3e-0c2a-7cc1-b7d4-0e2a6f1c9d55"])
def test_a_request_that_succeeded_at_last_is_not_repeated_by_its_message(
    push_queue: ForeignConsumer, service: Service, clock: ManualClock, message_id: str
) -> None:
    unknown = uuid4()
    message = delivery(asked(unknown, notification_type="push"), message_id=message_id)
    push_queue.handle([message])
    with service.units.write() as uow:
        late = User.register("late@example.com", "Late", Role.USER, None, at=uow.now)
        late.id = unknown
        uow.users.add(late)
    clock.advance(timedelta(seconds=3))
    push_queue.retry_failed()

    push_queue.handle([message])

    assert [notification.user_id for notification in kept(service)] == [unknown]


def test_requests_without_any_id_are_all_new(push_queue: ForeignConsumer, anna: User, service: Service) -> None:
    body = asked(anna, notification_type="push")

    push_queue.handle([delivery(body), delivery(body)])

    assert [(each.status, each.reason) for each in kept(service)] == [("skipped", "no_push_token")] * 2


def test_a_failing_request_has_three_attempts_with_growing_pauses_and_then_goes_to_the_failed_queue(
    push_queue: ForeignConsumer, service: Service, clock: ManualClock
) -> None:
    """S4-29, S4-30."""
    body = asked(uuid4(), notification_type="push", request_id="r-1")
    push_queue.handle([delivery(body)])
    pauses = []
    for _ in range(2):
        with service.units.read() as uow:
            (waiting,) = failures.listed(uow.session, failures.Filter(), state=failures.RETRYING)
        assert given_up(service) == []
        pauses.append((waiting.next_attempt_at - clock.now()).total_seconds())
        clock.advance(waiting.next_attempt_at - clock.now())
        push_queue.retry_failed()

    with service.units.read() as uow:
        (dead,) = failures.listed(uow.session, failures.Filter())
    assert (dead.attempts, dead.type, dead.reason) == (3, "notification.requested", "handler_failed")
    assert 1.6 <= pauses[0] <= 2
    assert 3.2 <= pauses[1] <= 4
    assert [json.loads(message) for message in given_up(service)] == [body]


def test_a_request_that_failed_succeeds_later(
    push_queue: ForeignConsumer, service: Service, clock: ManualClock
) -> None:
    unknown = uuid4()
    push_queue.handle([delivery(asked(unknown, request_id="r-1"), message_id="m-1")])
    with service.units.write() as uow:
        late = User.register("late@example.com", "Late", Role.USER, None, at=uow.now)
        late.id = unknown
        uow.users.add(late)
    clock.advance(timedelta(seconds=3))

    push_queue.retry_failed()

    assert [notification.user_id for notification in kept(service)] == [unknown]
    with service.units.read() as uow:
        assert failures.listed(uow.session, failures.Filter(), state=failures.RETRYING) == []


def test_the_correlation_id_of_a_request_goes_with_it_to_what_it_causes(
    push_queue: ForeignConsumer, anna: User, published: Published, as_anna: FlaskClient
) -> None:
    """S4-19."""
    as_anna.patch("/api/v1/users/profile", json={"push_token": "token"})

    push_queue.handle([replace(delivery(asked(anna, notification_type="push")), correlation_id="order-7")])

    (ready,) = published(NotificationReady)
    assert ready.correlation_id == "order-7"


def test_the_correlation_id_of_a_request_is_kept_from_its_first_failure_to_the_failed_queue(
    push_queue: ForeignConsumer, service: Service, clock: ManualClock
) -> None:
    """S4-19: through retries, the row of the dead letter and what goes to `failed.queue`; redriven, it is the same."""
    nobody = replace(delivery(asked(uuid7(), notification_type="push")), correlation_id="order-7")
    push_queue.handle([nobody])
    for _ in range(2):
        clock.advance(timedelta(hours=1))
        push_queue.retry_failed()

    with service.units.read() as uow:
        (dead,) = failures.listed(uow.session, failures.Filter())
        given_up = [sent for _, sent in outbox.pending(uow.session, 10) if sent.routing_key == "failed"]
    assert (dead.correlation_id, [sent.correlation_id for sent in given_up]) == ("order-7", ["order-7"])
    assert failures.delivery_of(dead).correlation_id == "order-7"


def test_what_is_no_request_is_parked_under_the_correlation_id_it_came_with(
    push_queue: ForeignConsumer, service: Service
) -> None:
    """S4-19."""
    push_queue.handle([replace(delivery(b"nonsense"), correlation_id="order-7")])
    push_queue.handle([replace(delivery(b"more nonsense"), correlation_id="not an id\n")])

    with service.units.read() as uow:
        parked = failures.listed(uow.session, failures.Filter())
    assert {row.correlation_id for row in parked} == {"order-7", ""}


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"\xff\xfe",
        b"\x00",
        b"[]",
        json.dumps({"notification_type": "push"}).encode(),
        json.dumps(asked(uuid4(), notification_type="fax")).encode(),
        json.dumps(asked(uuid4(), priority=11)).encode(),
        json.dumps(asked(uuid4(), template_code="")).encode(),
    ],
)
def test_what_is_no_request_is_given_up_at_once(push_queue: ForeignConsumer, service: Service, body: bytes) -> None:
    push_queue.handle([delivery(body, message_id="m-1")])

    with service.units.read() as uow:
        (dead,) = failures.listed(uow.session, failures.Filter())
    assert dead.reason == "invalid_data"
    assert given_up(service) == ([] if body in {b"\xff\xfe", b"\x00"} else [body])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
@given(
    body=binary() | binary(max_size=4).map(lambda end: b'{"notification_type":"push","user_id":"' + end),
    message_id=text(max_size=400),
    routing_key=text(max_size=255) | sampled_from(["push", NotificationRequested.type]),
    content_type=text(max_size=255),
)
def test_no_message_whatever_it_holds_is_in_the_way_of_the_next(
    push_queue: ForeignConsumer, service: Service, anna: User, **bad: Any
) -> None:
    before = len(kept(service))
    bad = Delivery(tag=1, exchange="notifications.direct", **bad)

    push_queue.handle([bad, delivery(asked(anna, notification_type="push"))])

    assert len(kept(service)) == before + 1


def test_a_message_that_names_its_type_as_a_retry_does_is_no_reason_to_stop(
    push_queue: ForeignConsumer, service: Service, anna: User
) -> None:
    posing = replace(delivery(asked(anna, notification_type="push"), "no UUID"), routing_key=NotificationRequested.type)

    push_queue.handle([posing, delivery(asked(anna, notification_type="push"))])

    assert len(kept(service)) == 2


def test_bytes_from_outside_do_not_hold_up_the_requests_behind_them(
    declared: Broker, worker: Worker, anna: User, service: Service
) -> None:
    """Issue: one NUL byte on `email.queue` stopped the mails of everybody."""
    good = json.dumps(asked(anna, notification_type="email")).encode()
    bodies = [b"\x00", b"\xff", b'{"notification_type":"\\u0000"}', good]
    messages = [Message("", "notifications.direct", "email", "application/json", body) for body in bodies]
    assert set(declared.publish(messages)) == {Outcome.CONFIRMED}
    email_queue = worker.foreign[0]

    with closing(declared.subscribe(email_queue.queue, prefetch=email_queue.prefetch)) as hold:
        wait_until(lambda: bool(email_queue.take(hold, timeout=0.1)) and bool(kept(service)))

    assert [each.channel for each in kept(service)] == ["email"]


@pytest.fixture
def declared(worker: Worker, broker_url: str) -> Iterator[Broker]:
    """A broker on which the worker has declared what it needs."""
    broker = connect(broker_url, name="producer")
    broker.declare(worker.topology)
    for consumer in worker.foreign:
        consumer._broker = broker
    yield broker
    broker.close()


def all_taken(broker: Broker, consumer: ForeignConsumer, service: Service) -> list[int]:
    """Take until there is a row for each request; return how many messages each turn took."""
    expected = {"email.queue": 1, "push.queue": 3}[consumer.queue]
    hold = broker.subscribe(consumer.queue, prefetch=consumer.prefetch)
    sizes: list[int] = []
    while len(kept(service)) < expected and len(sizes) < 100:
        sizes.append(consumer.take(hold, timeout=0.1))
    hold.close()
    return sizes


@only_sqlite
def test_producers_outside_publish_by_channel_and_one_message_is_taken_at_a_time(
    declared: Broker, worker: Worker, anna: User, service: Service
) -> None:
    """S4-25, S4-31."""
    requests = [
        Message(str(uuid4()), "notifications.direct", channel, "application/json", json.dumps(body).encode())
        for channel in ("email", "push", "push")
        for body in [asked(anna, notification_type=channel)]
    ]
    assert set(declared.publish(requests)) == {Outcome.CONFIRMED}

    sizes = [size for consumer in worker.foreign for size in all_taken(declared, consumer, service)]

    assert worker.foreign[0].prefetch == 1
    assert sorted(each.channel for each in kept(service)) == ["email", "push", "push"]
    assert set(sizes) <= {0, 1}


@only_sqlite
@only_rabbitmq
def test_the_queues_are_declared_as_the_producers_declare_them(declared: Broker, worker: Worker) -> None:
    """Another declaration would be refused by the broker with PRECONDITION_FAILED, on either side."""
    parameters = declared._parameters  # type: ignore[attr-defined]
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        for name in ("email.queue", "push.queue"):
            channel.queue_declare(
                declared._name(name),  # type: ignore[attr-defined]
                durable=True,
                arguments={
                    "x-dead-letter-exchange": declared._name("notifications.dlx"),  # type: ignore[attr-defined]
                    "x-dead-letter-routing-key": "failed",
                    "x-max-priority": 10,
                    "x-expires": 30 * 60 * 1000,
                },
            )
        channel.exchange_declare(declared._name("notifications.direct"), "direct", durable=True)  # type: ignore[attr-defined]
        channel.exchange_declare(declared._name("notifications.dlx"), "direct", durable=True)  # type: ignore[attr-defined]
