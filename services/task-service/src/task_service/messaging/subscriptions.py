"""Which event leads to what here."""

import event_contracts as contracts
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.subscriptions import Subscriptions, on, on_batch
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases import projection


def subscriptions() -> Subscriptions:
    return Subscriptions(
        [
            on_batch(contracts.UserRegistered, _learn_states),
            on_batch(contracts.UserUpdated, _learn_states),
            on_batch(contracts.UserDeactivated, _learn_states),
            on_batch(contracts.UserReactivated, _learn_states),
            on(contracts.UserPurged, _forget),
        ],
        contracts.CATALOGUE,
    )


def _learn_states(events: list[Event], uow: UnitOfWork) -> None:
    projection.learn_states(uow, events)


def _forget(event: Event, uow: UnitOfWork) -> None:
    projection.forget(uow, event)
