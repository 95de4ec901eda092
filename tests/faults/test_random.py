"""Everything is killed at random for minutes, and in the end everything adds up. FAULT_SEED repeats a run."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from service_chassis.testing.servers import Postgres, PrivatePostgres, PrivateRabbitMQ
from service_chassis.testing.servers.private import PrivateServer
from tests.conftest import Note
from tests.faults.chance import Chance
from tests.faults.conftest import MakePair
from tests.faults.pair import Pair
from tests.faults.rig import CONSUMER, PRODUCER
from tests.running.cleanup import CleanupRun
from tests.running.load import registered, registrations
from tests.running.native import Native
from tests.running.people import crowd
from tests.running.settled import assert_reconciled, assert_settled

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(1_200)]

PROCESSES = {f"{service} {number}": service for service in (PRODUCER, CONSUMER) for number in (1, 2)}
ROUND = 20.0
"""Seconds of kills for one cleanup run."""
PATIENCE = 180.0
"""How long everything may take to settle after the last kill."""


@pytest.fixture
def chance(note: Note) -> Iterator[Chance]:
    chance = Chance.of_environment()
    yield chance
    note(f"FAULT_SEED={chance.seed} FAULT_SECONDS={chance.seconds:g}: {len(chance.history)} kills")
    note("; ".join(chance.history))


def test_commands_have_their_effect_once_whatever_is_killed(
    pair_on: MakePair, mortal_postgres: PrivatePostgres, mortal_rabbitmq: PrivateRabbitMQ, chance: Chance, note: Note
) -> None:
    pair = pair_on(mortal_postgres, mortal_rabbitmq)
    # RabbitMQ 3.10 forgets a quorum queue that is killed before its node was once shut down in order.
    mortal_rabbitmq.restart()
    for name, service in PROCESSES.items():
        pair.start(service, name)
    targets = {name: partial(replace, pair, service, name) for name, service in PROCESSES.items()}
    targets |= {"postgres": partial(revive, mortal_postgres), "rabbitmq": partial(revive, mortal_rabbitmq)}

    with pair.commands() as commands:
        chance.strike(targets)
    pair.settle(commands, PATIENCE)

    note(f"{len(commands.accepted)} commands accepted, {commands.refused} not")
    assert len(commands.accepted) > chance.seconds
    pair.assert_exactly_once(commands)


def test_cleanup_runs_reconcile_whatever_is_killed(
    tmp_path: Path, mortal_postgres: PrivatePostgres, mortal_rabbitmq: PrivateRabbitMQ, chance: Chance, note: Note
) -> None:
    with Native(tmp_path / "steward", Postgres(mortal_postgres.url), mortal_rabbitmq.url) as system:
        mortal_rabbitmq.restart()
        targets = {name: partial(restart, system, name) for name in system.names}
        targets |= {"postgres": partial(revive, mortal_postgres), "rabbitmq": partial(revive, mortal_rabbitmq)}

        while not chance.over:
            people = crowd(3_000, inactive=0.9)
            system.start(*system.missing)
            system.take_in(people)
            with registrations(system.door) as load:
                run = CleanupRun.triggered(system)
                chance.strike(targets, ROUND)
            system.start(*system.missing)
            run.finished(PATIENCE)

            note(f"{len(load.done)} registered, {len(load.failed)} refused, {len(load.broken)} cut off")
            assert load.done <= registered(system, load)
            assert_reconciled(run, people)
            assert_settled(system)


def replace(pair: Pair, service: str, name: str) -> None:
    pair.programs[name].kill()
    pair.launch(service, name)


def restart(system: Native, name: str) -> None:
    system.programs[name].kill()
    # Also those that could not start because their database was away just then.
    for missing in system.missing:
        system.launch(missing)


def revive(server: PrivateServer) -> None:
    server.kill()
    server.start()
