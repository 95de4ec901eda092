"""Dispatchers at work, over real sockets, on each database."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook

from delivery_service.dispatch.dispatcher import Dispatcher
from delivery_service.dispatch.lane import Manner
from delivery_service.egress.rules import EgressRules
from delivery_service.egress.sender import Sender
from delivery_service.model.delivery import Event
from delivery_service.model.destination import Destination
from delivery_service.model.schedule import Schedule
from service_chassis.breaker import BreakerRules
from service_chassis.clock import SystemClock
from service_chassis.logs import make_log
from service_chassis.testing.waiting import wait_until

LOOPBACK = EgressRules.allowing(["127.0.0.0/8"])
QUICK = Manner(Schedule.of_seconds([0, 0.1, 0.1]), timeout=5, breaker=BreakerRules(open_for=timedelta(seconds=1)))


class Sink(ThreadingHTTPServer):
    """Takes requests, and answers what it is told for each."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[str], int] = lambda _: 200
        self.requests: list[tuple[float, dict[str, str], bytes]] = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def got(self) -> list[bytes]:
        return [body for _, _, body in self.requests]

    def end(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Sink
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((time.monotonic(), headers, body))
        self.send_response(self.server.answer(headers["webhook-id"]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.end()


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def dispatching(depot: Any) -> Iterator[Callable[..., Dispatcher]]:
    started: list[Dispatcher] = []

    def start(manner: Manner = QUICK) -> Dispatcher:
        log = make_log("delivery-service", level="ERROR", form="json")
        dispatcher = Dispatcher(depot.units, Sender(LOOPBACK), manner, seal=depot.seal, log=log, stop=threading.Event())
        dispatcher.start()
        started.append(dispatcher)
        return dispatcher

    yield start
    for dispatcher in started:
        assert dispatcher.stop()


def test_everything_put_in_arrives_once_and_is_verified_by_the_receivers_library(
    depot: Any, sink: Sink, dispatching: Any
) -> None:
    destination = depot.destination(sink.url)
    deliveries = depot.puts_in(destination, 200)
    dispatching()

    wait_until(lambda: set(depot.states(deliveries)) == {"succeeded"}, within=30)

    assert len(sink.requests) == len(set(sink.got())) == 200
    secret = depot.of(destination).target(depot.seal, timeout=15).secrets.current
    for _, headers, body in sink.requests:
        Webhook(secret).verify(body, headers)
    assert [attempt.status for attempt in depot.attempts()] == [200] * 200


def test_a_failure_is_retried_until_the_schedule_ends(depot: Any, sink: Sink, dispatching: Any) -> None:
    """S2-29: failed sends are retried."""
    sink.answer = lambda _: 400
    (delivery_id,) = depot.puts_in(depot.destination(sink.url))
    dispatching()

    wait_until(lambda: depot.states([delivery_id]) == ["failed"], within=20)

    delivery = depot.delivery(delivery_id)
    assert (delivery.attempts, delivery.last_status, delivery.last_error) == (3, 400, "http_error")
    assert [attempt.number for attempt in depot.attempts()] == [1, 2, 3]
    assert [headers["webhook-attempt"] for _, headers, _ in sink.requests] == ["1", "2", "3"]


def test_a_destination_that_fails_is_left_alone_and_then_gets_everything(
    depot: Any, sink: Sink, dispatching: Any
) -> None:
    well = threading.Event()
    sink.answer = lambda _: 200 if well.is_set() else 500
    destination = depot.destination(sink.url, retry_schedule=(0, *[0.1] * 20))
    deliveries = depot.puts_in(destination, 30)
    dispatching()
    wait_until(lambda: depot.of(destination).breaker_state == "open", within=20)

    well.set()

    wait_until(lambda: set(depot.states(deliveries)) == {"succeeded"}, within=30)
    assert depot.of(destination).breaker_state == "closed"
    assert depot.of(destination).failing_since is None
    assert len(sink.requests) < 30 + 2 * QUICK.in_flight


def test_a_payload_no_request_can_be_made_of_fails_and_does_not_stay_under_way(
    depot: Any, sink: Sink, dispatching: Any
) -> None:
    destination = depot.destination(sink.url, http_method="GET")
    (delivery_id,) = depot.puts_in(destination)
    with depot.units.write() as uow:
        uow.session.execute(update(Event).values(payload=b"[]"))
    dispatching()

    wait_until(lambda: depot.states([delivery_id]) == ["failed"], within=20)

    assert depot.delivery(delivery_id).last_error == "not_sent"
    assert sink.requests == []


def test_410_disables_a_destination_and_its_queue_stays(depot: Any, sink: Sink, dispatching: Any) -> None:
    sink.answer = lambda _: 410
    destination = depot.destination(sink.url, ordered=True)
    deliveries = depot.puts_in(destination, 3)
    dispatching()

    wait_until(lambda: depot.of(destination).standing == "disabled", within=20)
    wait_until(lambda: "sending" not in depot.states(deliveries), within=20)

    assert depot.of(destination).disabled_reason == "gone"
    assert depot.states(deliveries) == ["retrying", "pending", "pending"]
    assert len(sink.requests) == 1


def test_where_order_is_kept_it_is_kept_through_failures(depot: Any, sink: Sink, dispatching: Any) -> None:
    refusals = Counter[str]()

    def refuse_each_third_once(message_id: str) -> int:
        refusals[message_id] += 1
        return 400 if len(refusals) % 3 == 0 and refusals[message_id] == 1 else 200

    sink.answer = refuse_each_third_once
    deliveries = depot.puts_in(depot.destination(sink.url, ordered=True), 9)
    dispatching()

    wait_until(lambda: set(depot.states(deliveries)) == {"succeeded"}, within=30)

    arrived = list(dict.fromkeys(sink.got()))
    assert arrived == [b'{"number": %d}' % number for number in range(9)]
    assert len(sink.requests) == 12


def test_two_dispatchers_share_the_work_and_send_nothing_twice(depot: Any, sink: Sink, dispatching: Any) -> None:
    deliveries = [one for _ in range(6) for one in depot.puts_in(depot.destination(sink.url), 20)]
    dispatching()
    dispatching()

    wait_until(lambda: set(depot.states(deliveries)) == {"succeeded"}, within=30)

    assert Counter(headers["webhook-id"] for _, headers, _ in sink.requests).most_common(1)[0][1] == 1
    assert len(sink.requests) == 120


def test_a_rate_limit_paces_exactly(depot: Any, sink: Sink, dispatching: Any) -> None:
    deliveries = depot.puts_in(depot.destination(sink.url, rate_limit=20), 40)
    dispatching()

    wait_until(lambda: set(depot.states(deliveries)) == {"succeeded"}, within=30)

    times = [at for at, _, _ in sink.requests]
    assert times[-1] - times[0] == pytest.approx(39 / 20, abs=0.5)
    assert max(Counter(int(at - times[0]) for at in times).values()) <= 26
    assert all(later >= earlier for earlier, later in pairwise(times))


def test_what_hangs_holds_up_nobody_else(depot: Any, sink: Sink, dispatching: Any) -> None:
    released = threading.Event()
    hanging = Sink()
    hanging.answer = lambda _: 200 if released.wait(20) else 500
    depot.puts_in(depot.destination(hanging.url), 100)
    deliveries = depot.puts_in(depot.destination(sink.url), 50)
    dispatcher = dispatching()
    try:
        wait_until(lambda: set(depot.states(deliveries)) == {"succeeded"}, within=4)
    finally:
        released.set()
        assert dispatcher.stop()
        hanging.end()


def test_a_stop_finishes_what_is_under_way_and_leaves_the_rest_to_others(
    depot: Any, sink: Sink, dispatching: Any
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slow(_: str) -> int:
        arrived.set()
        go_on.wait(10)
        return 200

    sink.answer = slow
    deliveries = depot.puts_in(depot.destination(sink.url), 100)
    dispatcher = dispatching()
    assert arrived.wait(10)
    stopping = threading.Thread(target=dispatcher.stop)
    stopping.start()
    go_on.set()
    stopping.join(20)

    states = Counter(depot.states(deliveries))
    assert set(states) == {"succeeded", "pending"}
    assert states["succeeded"] == len(sink.requests)
    dispatching()
    wait_until(lambda: set(depot.states(deliveries)) == {"succeeded"}, within=30)
    assert len(sink.requests) == 100


def test_a_change_of_settings_reaches_a_dispatcher_that_owns_the_destination(
    depot: Any, sink: Sink, dispatching: Any
) -> None:
    destination = depot.destination("http://127.0.0.1:9/", retry_schedule=(0, *[0.2] * 30))
    deliveries = depot.puts_in(destination, 1)
    dispatching(Manner(timeout=5, breaker=BreakerRules(failures=1_000)))
    wait_until(lambda: depot.delivery(deliveries[0]).attempts > 0, within=20)

    with depot.units.write() as uow:
        moved = update(Destination).where(Destination.id == destination)
        uow.session.execute(moved.values(url=sink.url, version=Destination.version + 1))

    wait_until(lambda: depot.states(deliveries) == ["succeeded"], within=20)
