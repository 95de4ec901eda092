import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from aiohttp import web

from gateway.testing import Client, LoopThread, RunningGateway, StubService, UserService
from gateway.testing.behaviours import echo, hang
from gateway.testing.client import read
from service_chassis.testing.waiting import wait_until

pytestmark = pytest.mark.serial

PROFILE = "/api/v1/users/profile"
SLOW = "/api/v1/users/slow"


class Held:
    """Answers nothing under one path until it is let go."""

    def __init__(self) -> None:
        self._go = threading.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path == SLOW:
            await asyncio.to_thread(self._go.wait)
        return await echo(request)

    def let_go(self) -> None:
        self._go.set()


class Load:
    """Clients that keep asking, each over a connection it keeps as long as it is told to."""

    def __init__(self, client: Client, token: str, number: int = 4) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}
        self._number = number
        self.statuses: list[int] = []
        self.failures: list[BaseException] = []
        self.refused = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(self._number) as clients:
            ends = [clients.submit(self._ask) for _ in range(self._number)]
            yield
            for end in ends:
                end.result(30)

    def _ask(self) -> None:
        connection = self._client.connection()
        while True:
            try:
                connection.connect() if connection.sock is None else None
            except ConnectionRefusedError:
                self.refused += 1
                return
            try:
                connection.request("GET", PROFILE, headers=self._headers)
                self.statuses.append(read(connection).status)
            except (http.client.HTTPException, OSError) as error:
                self.failures.append(error)
                connection.close()


def test_a_gateway_that_is_about_to_end_says_so_and_goes_on_for_a_moment(gateway: RunningGateway, token: str) -> None:
    gateway.stop.set()

    ready = gateway.get("/readyz")
    answer = gateway.get(PROFILE, token=token)

    assert (ready.status, ready.error) == (503, "not_ready")
    assert "draining" in ready.json["data"]["errors"]
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert gateway.get("/livez").status == 200


@pytest.fixture
def ending(loop: LoopThread, users: UserService, cleanup: StubService) -> Callable[..., RunningGateway]:
    """Starts gateways that the test ends by itself."""

    def start(**env: str) -> RunningGateway:
        services = {"USER_SERVICE_URL": users.url, "CLEANUP_SERVICE_URL": cleanup.url, "LOG_LEVEL": "ERROR"}
        gateway = RunningGateway(loop, services | env)
        wait_until(lambda: gateway.ready)
        return gateway

    return start


def test_what_is_under_way_is_finished(ending: Callable[..., RunningGateway], users: UserService, token: str) -> None:
    gateway, held = ending(), Held()
    users.behaves = held
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(gateway.get, SLOW, token=token)
        wait_until(lambda: users.seen)

        closing = threads.submit(gateway.close)
        wait_until(gateway.stop.is_set)
        wait_until(lambda: not listens(gateway))
        assert not slow.done()
        held.let_go()
        answer = slow.result(10)
        closing.result(10)

    assert (answer.status, answer.headers["Connection"]) == (200, "close")


def listens(client: Client) -> bool:
    try:
        client.socket().close()
    except ConnectionError:
        return False
    return True


def test_an_upload_that_is_under_way_is_finished_too(
    ending: Callable[..., RunningGateway], users: UserService, token: str
) -> None:
    gateway = ending()
    connection = gateway.socket()
    head = (
        f"POST /api/v1/notifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 10\r\n\r\n"
    )
    connection.sendall(head.encode() + b"12345")
    with ThreadPoolExecutor(1) as threads:
        wait_until(lambda: "under way" and gateway.get("/livez").status == 200)
        closing = threads.submit(gateway.close)
        wait_until(lambda: not listens(gateway))

        connection.sendall(b"67890")
        response = http.client.HTTPResponse(connection)
        response.begin()
        closing.result(10)

    assert response.status == 200
    assert users.seen[0].body == b"1234567890"
    response.close()
    connection.close()


def test_under_load_nobody_whose_request_was_taken_goes_without_an_answer(
    ending: Callable[..., RunningGateway], token: str
) -> None:
    gateway = ending(GATEWAY_DRAIN_SECONDS="0.3")
    load = Load(gateway, token)

    with load.running():
        wait_until(lambda: len(load.statuses) > 50)
        gateway.close()

    assert set(load.statuses) == {200}
    assert not load.failures
    assert load.refused == 4


def test_a_request_that_never_ends_does_not_keep_the_process(
    ending: Callable[..., RunningGateway], users: UserService, token: str
) -> None:
    gateway = ending(GATEWAY_DEADLINE_SECONDS="1")
    users.behaves = hang
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(gateway.get, SLOW, token=token)
        wait_until(lambda: users.seen)
        started = time.monotonic()

        gateway.close()

        assert slow.result(5).status == 504
    assert time.monotonic() - started < 5


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Process(Client):
    """`python -m gateway web` as operators run it."""

    def __init__(self, env: dict[str, str], port: int) -> None:
        self.port = port
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "web"],
            env={**os.environ, **env, "GATEWAY_PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        super().__init__(port)

    @property
    def ready(self) -> bool:
        assert self._process.poll() is None, self.output()
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        return self._process.wait(25)

    def output(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.read().decode()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def process(users: UserService, cleanup: StubService) -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def start(*, port: int | None = None, **env: str) -> Process:
        services = {"USER_SERVICE_URL": users.url, "CLEANUP_SERVICE_URL": cleanup.url, "LOG_LEVEL": "ERROR"}
        running.append(Process(services | env, port or free_port()))
        return running[-1]

    yield start
    for started in running:
        started.close()


def test_the_processes_of_production_drain_on_sigterm(process: Callable[..., Process], token: str) -> None:
    gateway = process(GATEWAY_PROCESSES="2", GATEWAY_DRAIN_SECONDS="0.5")
    wait_until(lambda: gateway.ready)
    load = Load(gateway, token)

    with load.running():
        wait_until(lambda: len(load.statuses) > 50)
        gateway.terminate()
        not_ready = wait_until(lambda: status(gateway) in {503, None})
    code = gateway.ended()

    assert not_ready
    assert code == 0
    assert set(load.statuses) == {200}
    assert not load.failures


def status(gateway: Process) -> int | None:
    try:
        return gateway.get("/readyz").status
    except OSError:
        return None


def test_both_families_of_addresses_are_served(process: Callable[..., Process], users: UserService, token: str) -> None:
    assert socket.has_dualstack_ipv6(), "This machine has no IPv6, so half of this cannot be tried."
    gateway = process()
    wait_until(lambda: gateway.ready)

    statuses = [asked_at(host, gateway.port, token) for host in ("127.0.0.1", "::1")]

    assert statuses == [200, 200]
    assert [seen.header("X-Forwarded-For") for seen in users.seen] == ["127.0.0.1", "::1"]


def asked_at(host: str, port: int, token: str) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", PROFILE, headers={"Authorization": f"Bearer {token}"})
    status = read(connection).status
    connection.close()
    return status


def test_wrong_settings_are_told_and_end_the_process(process: Callable[..., Process]) -> None:
    gateway = process(GATEWAY_DEADLINE_SECONDS="soon", JWT_ALGORITHM="none")

    assert gateway.ended() == 78
    said = gateway.output()
    assert "GATEWAY_DEADLINE_SECONDS" in said
    assert "JWT_ALGORITHM" in said


def test_a_port_that_is_taken_is_told_and_ends_the_process(process: Callable[..., Process]) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        gateway = process(port=taken.getsockname()[1])

        assert gateway.ended() == 69
        assert "cannot be used" in gateway.output()
