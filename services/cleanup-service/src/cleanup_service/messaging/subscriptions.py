"""Which event leads to what here."""

import event_contracts as contracts
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import outcomes, projection
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.subscriptions import Subscriptions, on, on_batch


def subscriptions() -> Subscriptions:
    return Subscriptions(
        [
            on_batch(contracts.UserRegistered, _learn_states),
            on_batch(contracts.UserUpdated, _learn_states),
            on_batch(contracts.UserReactivated, _learn_states),
            on_batch(contracts.UserDeactivated, _deactivated),
            on_batch(contracts.UserDeactivationRefused, _refused),
            on_batch(contracts.UserActivityRecorded, _learn_activity),
            on(contracts.UserPurged, _forget),
            on_batch(contracts.UserWatermark, _advance_watermark),
        ],
        contracts.CATALOGUE,
    )


def _learn_states(events: list[Event], uow: UnitOfWork) -> None:
    projection.learn_states(uow, events)


def _deactivated(events: list[Event], uow: UnitOfWork) -> None:
    projection.learn_states(uow, events)
    outcomes.note_deactivated(uow, events)


def _refused(events: list[Event], uow: UnitOfWork) -> None:
    outcomes.note_refused(uow, events)


def _learn_activity(events: list[Event], uow: UnitOfWork) -> None:
    projection.learn_activity(uow, events)


def _forget(event: Event, uow: UnitOfWork) -> None:
    projection.forget(uow, event)


def _advance_watermark(events: list[Event], uow: UnitOfWork) -> None:
    projection.advance_watermark(uow, events)
