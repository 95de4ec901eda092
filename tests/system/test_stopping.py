"""SIGTERM under load: every process ends in time, does what it has accepted, and loses nothing."""

import pytest

from service_chassis.testing.waiting import wait_until
from tests.conftest import Figure
from tests.running.cleanup import CleanupRun
from tests.running.embedded import PROCESS, Embedded
from tests.running.load import Load, registered, registrations
from tests.running.native import CLEANUP_WEB, GATEWAY, USER_WEB, WORKERS, Native
from tests.running.people import crowd
from tests.running.settled import assert_reconciled, assert_settled
from tests.running.steward import CLEANUP, RUNS, USER

WARM = 30
"""Requests answered before the signal comes."""


@pytest.mark.servers
def test_the_gateway_does_what_it_has_accepted_before_it_ends(native: Native, figure: Figure) -> None:
    with registrations(native.door) as load:
        wait_until(lambda: len(load.done) > WARM)
        seconds = native.programs[GATEWAY].terminate()
        wait_until(lambda: load.refused > 0)

    figure("to stop", seconds)
    assert load.failed == load.broken == {}
    assert registered(native, load) == load.done


@pytest.mark.servers
def test_a_service_does_what_it_has_accepted_before_it_ends_also_behind_the_gateway(
    native: Native, figure: Figure
) -> None:
    behind = native.door.at(native.services[USER])

    with registrations(behind) as direct, registrations(native.door) as through:
        wait_until(lambda: min(len(direct.done), len(through.done)) > WARM)
        seconds = native.programs[USER_WEB].terminate()
        wait_until(lambda: direct.refused > 0 and through.failed)

    figure("to stop", seconds)
    assert direct.failed == direct.broken == through.broken == {}
    assert {answer.error for answer in through.failed.values()} <= {"upstream_unreachable", "circuit_open"}
    assert registered(native, direct) == direct.done
    assert registered(native, through) == through.done


@pytest.mark.servers
def test_a_service_that_is_only_read_answers_all_it_has_accepted(native: Native, figure: Figure) -> None:
    admin = native.admin.at(native.services[CLEANUP])

    with Load(lambda _: admin.get(RUNS)) as load:
        wait_until(lambda: len(load.done) > WARM)
        seconds = native.programs[CLEANUP_WEB].terminate()
        wait_until(lambda: load.refused > 0)

    figure("to stop", seconds)
    assert load.failed == load.broken == {}


@pytest.mark.servers
def test_workers_that_end_in_the_middle_of_a_run_lose_nothing(native: Native, figure: Figure) -> None:
    """S0-22."""
    people = crowd(2_000, inactive=0.8)
    native.take_in(people)

    with registrations(native.door) as load:
        run = CleanupRun.triggered(native)
        wait_until(run.is_half_way, 30, every=0.05)
        for name in WORKERS:
            figure(f"to stop {name}", native.programs[name].terminate())
        interrupted = run.status
        native.start(*WORKERS)
        run.finished()

    assert interrupted == "running"
    assert load.failed == load.broken == {}
    assert registered(native, load) == load.done
    assert_reconciled(run, people)
    assert_settled(native)


def test_the_embedded_process_does_what_it_has_accepted_and_goes_on_after_its_restart(
    embedded: Embedded, figure: Figure
) -> None:
    people = crowd(2_000, inactive=0.8)
    embedded.take_in(people)

    with registrations(embedded.door) as load:
        run = CleanupRun.triggered(embedded)
        wait_until(run.is_half_way, 30, every=0.05)
        seconds = embedded.process.terminate()
        wait_until(lambda: load.refused > 0)

    embedded.start(PROCESS)
    run.finished()

    figure("to stop", seconds)
    assert load.failed == load.broken == {}
    assert registered(embedded, load) == load.done
    assert_reconciled(run, people)
    assert_settled(embedded)
