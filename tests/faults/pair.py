"""Producer and consumer of the rig as processes, the commands they are given, and what must have come of them."""

import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Table, select

from service_chassis.errors import Unavailable
from service_chassis.messaging import failures, outbox
from service_chassis.messaging.failures import Filter
from service_chassis.messaging.rabbitmq import RabbitMQ
from service_chassis.testing.servers.process import Guard
from service_chassis.testing.waiting import wait_until
from tests.faults import rig
from tests.faults.rig import CONSUMER, PRODUCER
from tests.running.programs import Program

PAUSE = 0.003
RETRY = 0.1
STARTS_WITHIN = 20.0
SETTLES_WITHIN = 60.0


class Pair:
    """The two services; each may run as several processes, which are named by whoever starts them."""

    def __init__(self, folder: Path, databases: Mapping[str, str], broker_url: str) -> None:
        """Use migrated databases, by service, and names on the broker that nobody else uses."""
        self._folder = folder
        self._urls = databases
        self._broker_url = broker_url
        self._guard = Guard(folder / "guarded")
        self._units = {service: rig.units(url) for service, url in databases.items()}
        self.programs: dict[str, Program] = {}
        """The newest process of each name."""
        self._launched: list[Program] = []
        for each in self._units.values():
            with each.database.writing() as session:
                rig.metadata.create_all(session.connection())
        # As a worker does: a broker that has just begun to serve may refuse its first queues.
        wait_until(lambda: _declared(RabbitMQ(broker_url)), STARTS_WITHIN, every=RETRY)

    def start(self, service: str, name: str = "") -> Program:
        """Start a process of a service and wait until it works."""
        program = self.launch(service, name)
        wait_until(program.lines, STARTS_WITHIN, every=0.05)
        return program

    def launch(self, service: str, name: str = "", *, die: str | None = None, times: int = 1) -> Program:
        """Start a process of a service, perhaps one that dies when it comes to a step so many times; wait for nothing."""
        where = ["--database", self._urls[service], "--broker", self._broker_url]
        fate = ["--die", die, "--times", times] if die else []
        log = self._folder / f"{name or service}.log"
        program = Program([rig.__file__, service, *where, *fate], {}, log, self._guard)
        self.programs[name or service] = program
        self._launched.append(program)
        return program

    def close(self) -> None:
        self._guard.end()
        for each in self._units.values():
            each.database.close()

    def commands(self) -> "Commands":
        return Commands(self._units[PRODUCER])

    def numbers(self, service: str, table: Table) -> list[int]:
        """Return the numbers in a table, in order, each as often as it is there."""
        with self._units[service].read() as uow:
            return sorted(uow.session.scalars(select(table.c.number)))

    def answered(self) -> set[int]:
        return set(self.numbers(PRODUCER, rig.answers))

    def told(self, service: str, what: str) -> list[dict[str, Any]]:
        """Return what the processes of a service have told of some kind, in order."""
        lines = [line for program in self._launched for line in program.lines()]
        wanted = [line for line in lines if (line["service"], line["event"]) == (service, what)]
        return sorted(wanted, key=lambda line: line["at"])

    def repeated(self, service: str, what: str) -> int:
        """Return how many messages a service published, or received, more than once."""
        seen = Counter(message for line in self.told(service, what) for message in line["ids"])
        return sum(times > 1 for times in seen.values())

    def settle(self, commands: "Commands", within: float = SETTLES_WITHIN) -> None:
        """Wait until nothing is under way any more: everything came to its end, and so did something sent after it."""
        wait_until(lambda: self._all_answered(commands), within, every=0.1)
        commands.one_more()
        wait_until(lambda: self._all_answered(commands), within, every=0.1)

    def assert_exactly_once(self, commands: "Commands") -> None:
        """Check that what was accepted is there, had its effect and its answer once each, and that nothing failed."""
        given = self.numbers(PRODUCER, rig.commands)
        assert set(commands.accepted) <= set(given)
        assert len(set(given)) == len(given)
        assert self.numbers(CONSUMER, rig.effects) == given
        assert self.numbers(PRODUCER, rig.answers) == given
        for each in self._units.values():
            with each.read() as uow:
                assert failures.totals(uow.session) == {}, failures.listed(uow.session, Filter())
                assert outbox.backlog(uow.session) == {}

    def _all_answered(self, commands: "Commands") -> bool:
        given = set(self.numbers(PRODUCER, rig.commands))
        return set(commands.accepted) <= given <= self.answered()


def _declared(broker: RabbitMQ) -> bool:
    try:
        broker.declare(rig.topology())
    except Unavailable:
        return False
    return True


class Commands:
    """A client that gives commands to the producer, one after the other, inside a `with` block."""

    def __init__(self, units: Any) -> None:
        self._units = units
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._give)
        self._number = 0
        self.accepted: list[int] = []
        """The commands whose commit was answered; of others only the database knows."""
        self.refused = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def more(self, number: int, within: float = 20) -> None:
        """Wait until so many more have been accepted."""
        goal = len(self.accepted) + number
        wait_until(lambda: len(self.accepted) >= goal, within)

    def one_more(self) -> None:
        self._number += 1
        with self._units.write() as uow:
            rig.command(uow, self._number)
        self.accepted.append(self._number)

    def _give(self) -> None:
        while not self._stop.wait(PAUSE):
            try:
                self.one_more()
            except Unavailable:
                self.refused += 1
                self._stop.wait(RETRY)
