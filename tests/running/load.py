"""A steady load of requests from a few clients, who remember what became of each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Self

from service_chassis.ids import uuid7
from tests.running.door import Answer, Door
from tests.running.people import PASSWORD
from tests.running.steward import USER, Steward

CLIENTS = 4
PAUSE = 0.03

Request = Callable[[str], Answer]
"""Sends a request of a name that no other has."""


@dataclass
class Load:
    """Sends requests inside a `with` block, one after the other from each client."""

    request: Request
    answers: dict[str, Answer] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """Requests that were sent and got no whole answer."""
    refused: int = 0
    """Attempts to send where nobody listened."""

    def __post_init__(self) -> None:
        self.name = uuid7().hex
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def done(self) -> set[str]:
        """Return the names of the requests that were told they succeeded."""
        return {name for name, answer in self.answers.copy().items() if answer.status < 300}

    @property
    def failed(self) -> dict[str, Answer]:
        """Return what was answered to the others."""
        return {name: answer for name, answer in self.answers.items() if answer.status >= 300}

    def _send(self, client: int) -> None:
        number = 0
        while not self._stop.wait(PAUSE):
            number += 1
            self._send_one(f"{self.name}.{client}.{number}")

    def _send_one(self, name: str) -> None:
        try:
            self.answers[name] = self.request(name)
        except ConnectionRefusedError:
            self.refused += 1
        except (OSError, HTTPException) as error:
            self.broken[name] = repr(error)


def registrations(door: Door) -> Load:
    """Return a load of people who register, each under an address of its own."""
    return Load(lambda name: door.post("/api/v1/users", {"email": f"{name}@example.com", "password": PASSWORD}))


def registered(system: Steward, load: Load) -> set[str]:
    """Return the names of those who are in the database, whatever they were told."""
    rows = system.rows(USER, "SELECT email FROM users WHERE email LIKE :ours", ours=f"{load.name}.%")
    return {row.email.removesuffix("@example.com") for row in rows}
