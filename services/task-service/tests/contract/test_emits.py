"""Everything the service says, checked against what it has promised to say."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import event_contracts as contracts
from event_contracts import Contract
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import decoded, received
from service_chassis.testing.plugin import only_sqlite
from service_chassis.unit_of_work import Units
from task_service.model.actor import Actor
from task_service.model.task import TaskStatus
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases import assigning

pytestmark = only_sqlite

HOUR = timedelta(hours=1)


@pytest.fixture
def everything_happened(desk: Any, people: Any) -> None:
    """Tasks are given, begun, handed on, excused, missed, extended, corrected and deleted; one user misses five.

    Their manager gets a letter about it.
    """
    desk.manager = Actor(people.has(role="manager"), manages=True)
    desk.rules = replace(desk.rules, digest_over=5)
    anna, bert = people.has(), people.has()
    begun, handed_on, excused, extended, corrected, deleted = desk.assigns(anna, count=6)
    desk.sets(begun, TaskStatus.IN_PROGRESS)
    with desk.units.write() as uow:
        assigning.reassign(uow, desk.rules, handed_on, bert, "", newer=[], version=1, by=desk.manager)
    desk.excuses(excused)
    desk.deletes(deleted)
    desk.assigns(anna, count=2)
    desk.clock.advance(2 * HOUR)
    desk.sweeps()
    desk.extends(extended, HOUR)
    desk.sets(corrected, TaskStatus.COMPLETED)


@pytest.mark.usefixtures("everything_happened")
def test_every_event_is_what_its_contract_says(units: Units[UnitOfWork]) -> None:
    seen: dict[type[Contract], int] = {}
    with units.read() as uow:
        messages = [message for _, message in outbox.pending(uow.session, 1000)]
    for message in messages:
        for envelope in decoded(message.content_type, message.body):
            contract = contracts.by_type[envelope.type]
            event = received(envelope, contract)

            assert contracts.validated(event.data) == event.data
            assert (envelope.source, message.exchange) == (contract.source, contract.exchange)
            assert (message.routing_key, envelope.dataschema) == (contract.type, contracts.dataschema(contract))
            assert (event.version is not None) == (contract.kind == contracts.Kind.STATE)
            assert event.subject == event.data.subject
            seen[contract] = seen.get(contract, 0) + 1
    assert seen == {
        contracts.TaskAssigned: 9,
        contracts.TaskStatusChanged: 5,
        contracts.TaskMissed: 7,
        contracts.TaskMissLimitReached: 1,
        contracts.AlertDigestDue: 1,
    }


@pytest.mark.usefixtures("everything_happened")
def test_the_versions_of_a_task_are_told_without_a_gap(units: Units[UnitOfWork]) -> None:
    """Whoever applies what is newer ends up with the last state of every task."""
    versions: dict[str, list[int]] = {}
    with units.read() as uow:
        messages = [message for _, message in outbox.pending(uow.session, 1000)]
    for message in messages:
        for envelope in decoded(message.content_type, message.body):
            if contracts.by_type[envelope.type].kind == contracts.Kind.STATE:
                versions.setdefault(envelope.subject, []).append(int(str(envelope.aggregateversion)))

    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())
