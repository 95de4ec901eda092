"""One caller attacks while another one works, who must not notice."""

import base64
import json
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from tests.running.door import Door
from tests.running.people import person
from tests.running.steward import Steward

PROFILE = "/api/v1/users/profile"
PAUSE_SECONDS = 0.02
SLOW_CLIENTS = 40
PARALLEL = 60

for_seconds = pytest.mark.parametrize(
    "seconds", [pytest.param(3.0, id="short"), pytest.param(20.0, id="long", marks=pytest.mark.long)]
)


def cursor(*position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).rstrip(b"=").decode()


ENDS = [
    cursor(end, "00000000-0000-0000-0000-000000000000")
    for end in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59")
]
BAD = [
    *(f"/api/v1/auth/sessions?cursor={end}" for end in ENDS),
    *(f"/api/v1/tasks?sort=deadline&cursor={end}" for end in ENDS),
    "/api/v1/tasks?deadline_from=0001-01-01T00:00:00%2B23:59",
]


@for_seconds
def test_impossible_cursors_of_one_user_are_no_trouble_for_another(system: Steward, seconds: float) -> None:
    attacker = someone(system)
    refused: Counter[int] = Counter()

    def attack() -> None:
        for path in BAD:
            refused[attacker.get(path).status] += 1

    with attacking(attack):
        answered, quantile = worked(someone(system), seconds)

    assert set(refused) == {400}
    assert answered >= 0.99
    assert quantile <= 0.25


@for_seconds
def test_bodies_that_never_end_are_no_trouble_for_others(system: Steward, seconds: float) -> None:
    victim = someone(system)
    head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    framings = (
        "Content-Length: 200000\r\n\r\n{",
        "Content-Length: 20000\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    )

    with ExitStack() as stack:
        for number in range(SLOW_CLIENTS):
            connection = stack.enter_context(connected(system.gateway))
            connection.sendall((head + framings[number % len(framings)]).encode())
        answered, quantile = worked(victim, seconds)

    assert answered >= 0.99
    assert quantile <= 0.25


def test_many_requests_at_once_open_no_breaker(system: Steward) -> None:
    client = someone(system)

    with ThreadPoolExecutor(PARALLEL) as clients:
        statuses = Counter(clients.map(lambda _: client.get(PROFILE).status, range(3 * PARALLEL)))

    assert statuses == {200: 3 * PARALLEL}


def someone(system: Steward) -> Door:
    new = person("someone", days_away=0)
    system.register(new.email, "user")
    return system.sign_in(new.email)


@contextmanager
def attacking(attack: Callable[[], None]) -> Iterator[None]:
    """Attack again and again from two threads."""
    enough = threading.Event()

    def attack_on() -> None:
        while not enough.is_set():
            attack()

    with ThreadPoolExecutor(2) as attackers:
        running = [attackers.submit(attack_on) for _ in range(2)]
        try:
            yield
        finally:
            enough.set()
        for each in running:
            each.result()


def worked(client: Door, seconds: float) -> tuple[float, float]:
    """Let a client work for some time; return which share was answered, and the 95th of 100 times to an answer."""
    pause = threading.Event()
    statuses, times = [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        statuses.append(client.get(PROFILE).status)
        times.append(time.monotonic() - started)
        pause.wait(PAUSE_SECONDS)
    return statuses.count(200) / len(statuses), sorted(times)[math.ceil(0.95 * len(times)) - 1]


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10)
