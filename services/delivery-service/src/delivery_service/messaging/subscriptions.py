"""Which event leads to what here."""

from functools import partial

import event_contracts as contracts
from delivery_service.mailing.folder import MailFolder
from delivery_service.persistence.unit_of_work import UnitOfWork
from delivery_service.usecases import mails
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.subscriptions import Subscriptions, on


def subscriptions(folder: MailFolder) -> Subscriptions:
    return Subscriptions(
        [
            on(contracts.NotificationReady, _accept),
            on(contracts.UserPurged, partial(_purge, folder=folder)),
        ],
        contracts.CATALOGUE,
    )


def _accept(event: Event, uow: UnitOfWork) -> None:
    mails.accept(uow, event)


def _purge(event: Event, uow: UnitOfWork, *, folder: MailFolder) -> None:
    mails.purge(uow, event.data.user_id, folder)
