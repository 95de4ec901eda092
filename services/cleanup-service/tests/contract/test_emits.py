"""Everything the service says, checked against what it has promised to say."""

from datetime import timedelta
from typing import Any

import pytest

import event_contracts as contracts
from cleanup_service.model.policy import Policy
from cleanup_service.model.run import Trigger
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import runs
from event_contracts import Contract
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import decoded, received
from service_chassis.testing.plugin import only_sqlite
from service_chassis.unit_of_work import Units

pytestmark = only_sqlite


@pytest.fixture
def two_runs(units: Units[UnitOfWork], policy: Policy, clock: ManualClock, user_service: Any) -> None:
    """A scheduled run that fails, and one by hand that asks, gives up, completes, and is amended."""
    with units.write() as uow:
        runs.start(uow, policy, Trigger.SCHEDULE)
    clock.advance(timedelta(minutes=6))
    go_on(units, policy)
    anna, bert = user_service.has(days_inactive=40, count=2)
    with units.write() as uow:
        runs.start(uow, policy, Trigger.MANUAL, requested_by=uuid7())
    clock.advance(timedelta(seconds=1))
    user_service.says_where_it_is()
    go_on(units, policy)
    user_service.answers({anna: "active_since_plan"}, only=[anna])
    for _ in range(2):
        clock.advance(timedelta(minutes=15))
        go_on(units, policy)
    user_service.answers(only=[bert])


def go_on(units: Units[UnitOfWork], policy: Policy) -> None:
    more = True
    while more:
        with units.write() as uow:
            more = runs.advance(uow, policy)


@pytest.mark.usefixtures("two_runs")
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
    assert seen == {contracts.RunStarted: 2, contracts.DeactivationRequested: 3, contracts.RunCompleted: 3}
