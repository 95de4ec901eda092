"""A worker as its bootstrap puts it together sends to destinations."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from service_chassis.clock import SystemClock
from service_chassis.sealing import Seal
from service_chassis.testing.plugin import any_database
from service_chassis.testing.waiting import wait_until


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


class Taking(BaseHTTPRequestHandler):
    taken: list[bytes] = []

    def do_POST(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@any_database
def test_a_worker_sends_what_waits_and_ends_in_time(depot: Any, bootstrap: Any, env: dict[str, str]) -> None:
    service = bootstrap(env, CollectorRegistry(), threading.Event())
    depot.seal = Seal(service.parts.settings.answers_secret, "destinations")
    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        deliveries = depot.puts_in(depot.destination(f"http://127.0.0.1:{server.server_port}/"), 3)
        worker = service.make_worker()
        worker.start()
        try:
            wait_until(lambda: depot.states(deliveries) == ["succeeded"] * 3, within=30)
        finally:
            assert worker.stop()
            server.shutdown()
            serving.join()
            service.close()
    assert sorted(Taking.taken) == [b'{"number": %d}' % number for number in range(3)]
