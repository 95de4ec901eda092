import socket
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from service_chassis.aio import doors
from service_chassis.listening import deafen

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(sys.platform != "linux", reason="Only Linux can close a listener without this risk."),
]

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Door(socket.socket):
    """A listener at which somebody knocks in the moment after the last one was let in."""

    def knock_late(self, clients: ThreadPoolExecutor) -> None:
        self.clients = clients
        self.late: list[Future[str]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        try:
            return super().accept()
        except BlockingIOError:
            self.late.append(self.clients.submit(outcome, self.getsockname()))
            # Where a connection can be made at all, it is made by then.
            with suppress(TimeoutError):
                self.late[0].result(0.3)
            raise


def outcome(address: Any) -> str:
    """Say how a client fares that connects, sends and waits for an answer."""
    try:
        with socket.create_connection(address[:2], timeout=5) as client:
            client.sendall(b"?")
            return client.recv(1).decode()
    except OSError as error:
        return type(error).__name__


@pytest.fixture(params=HOSTS, ids=lambda family: family.name)
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    with Door(request.param) as door:
        door.bind((HOSTS[request.param], 0))
        door.listen()
        yield door


def test_who_has_connected_before_is_let_in_and_heard(door: Door) -> None:
    with socket.create_connection(door.getsockname()[:2]) as client:
        deafen(door)

        inside, _ = door.accept()

        with inside:
            client.sendall(b"before")
            assert inside.recv(6) == b"before"


def test_who_knocks_while_the_door_closes_is_refused_and_not_reset(door: Door) -> None:
    with ThreadPoolExecutor() as clients:
        door.knock_late(clients)

        inside = doors.last_in(door, is_last=True)

        assert not inside
        assert [late.result(10) for late in door.late] == ["ConnectionRefusedError"]


def test_where_another_process_listens_who_knocks_late_is_let_in_there(door: Door) -> None:
    with ThreadPoolExecutor() as clients, socket.fromfd(door.fileno(), door.family, door.type) as elsewhere:
        door.knock_late(clients)

        doors.last_in(door, is_last=False)

        inside, _ = elsewhere.accept()
        with inside:
            assert inside.recv(1) == b"?"
            inside.sendall(b"!")
        assert [late.result(10) for late in door.late] == ["!"]
