"""Which event leads to what here."""

from datetime import timedelta
from functools import partial

import event_contracts as contracts
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.subscriptions import Subscriptions, on_batch
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import cleanup


def subscriptions(tokens_live: timedelta) -> Subscriptions:
    """Return the subscriptions; an ended session is made known for as long as its access tokens may live."""
    return Subscriptions(
        [on_batch(contracts.DeactivationRequested, partial(_deactivate, tokens_live=tokens_live))],
        contracts.CATALOGUE,
    )


def _deactivate(events: list[Event], uow: UnitOfWork, *, tokens_live: timedelta) -> None:
    cleanup.apply_deactivations(uow, events, tokens_live=tokens_live)
