"""The web of a service as its own process, on its own port."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service_chassis.testing.servers.process import Guard, Process, free_port, listens

STARTS_WITHIN = 30


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    guard = Guard(folder / "guarded")
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "STEWARD_DATA": str(folder),
        "USER_SERVICE_BIND": f"127.0.0.1:{port}",
        "WEB_PROCESSES": "1",
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_PASSES": "1",
        "LOG_LEVEL": "ERROR",
    }
    try:
        web = Process([sys.executable, "-m", "user_service", "web"], Path(folder), guard=guard, env=env)
        web.wait_for(lambda: listens(port), STARTS_WITHIN)
        yield port
    finally:
        guard.end()


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /elsewhere", "Script-Name: /elsewhere", "PATH_INFO: /livez"])
def test_no_header_says_which_path_a_request_has(port: int, header: str) -> None:
    assert status(port, "GET /elsewhere/livez HTTP/1.1", header) == 404
    assert status(port, "GET /livez HTTP/1.1", header) == 200


@pytest.mark.parametrize("header", ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl"])
def test_no_header_says_which_scheme_a_request_has(port: int, header: str) -> None:
    assert status(port, "GET /livez HTTP/1.1", header, "X-Forwarded-Proto: http") == 200


def status(port: int, *lines: str) -> int:
    """Send a request and return the status of the answer."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        connection.sendall("\r\n".join([*lines, "Host: x", "Connection: close", "", ""]).encode())
        return int(connection.makefile("rb").readline().split()[1])
