"""Which event leads to what here."""

from datetime import timedelta
from functools import partial

import event_contracts as contracts
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.subscriptions import Drop, Subscriptions, on, on_batch
from user_service.model.errors import LastAccountAdmin, LastAdmin, NotificationNotFound, UserNotFound
from user_service.model.notification import Channel, Report
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import activity, alert_digests, cleanup, erasure, missed_tasks, notifications


def subscriptions(tokens_live: timedelta) -> Subscriptions:
    """Return the subscriptions; an ended session is made known for as long as its access tokens may live."""
    return Subscriptions(
        [
            on(contracts.RunStarted, _tell_watermark),
            on_batch(contracts.DeactivationRequested, partial(_deactivate, tokens_live=tokens_live)),
            on(contracts.PurgeRequested, partial(_purge, tokens_live=tokens_live)),
            on(contracts.TaskMissLimitReached, partial(_deactivate_for_missed_tasks, tokens_live=tokens_live)),
            on(contracts.AlertDigestDue, _send_alert_digest),
            on(contracts.NotificationDelivered, _note_delivered),
            on(contracts.NotificationFailed, _note_failed),
        ],
        contracts.CATALOGUE,
    )


def _tell_watermark(_: Event, uow: UnitOfWork) -> None:
    activity.emit_watermark(uow)


def _deactivate(events: list[Event], uow: UnitOfWork, *, tokens_live: timedelta) -> None:
    cleanup.apply_deactivations(uow, events, tokens_live=tokens_live)


def _purge(event: Event, uow: UnitOfWork, *, tokens_live: timedelta) -> None:
    try:
        erasure.purge_as_requested(uow, event, tokens_live=tokens_live)
    except (UserNotFound, LastAdmin, LastAccountAdmin) as error:
        # No contract answers a purge but the tombstone: the user stays as it is, and the log says why.
        raise Drop(error.code) from error


def _deactivate_for_missed_tasks(event: Event, uow: UnitOfWork, *, tokens_live: timedelta) -> None:
    missed_tasks.deactivate(uow, event, tokens_live=tokens_live)


def _send_alert_digest(event: Event, uow: UnitOfWork) -> None:
    try:
        alert_digests.send(uow, event)
    except UserNotFound as error:
        raise Drop(error.code) from error


def _note_delivered(event: Event, uow: UnitOfWork) -> None:
    _note(event, uow, Report.DELIVERED, None)


def _note_failed(event: Event, uow: UnitOfWork) -> None:
    _note(event, uow, Report.FAILED, event.data.reason)


def _note(event: Event, uow: UnitOfWork, outcome: Report, reason: str | None) -> None:
    try:
        notifications.report(uow, Channel(event.data.channel), event.data.notification_id, outcome, reason)
    except NotificationNotFound as error:
        raise Drop(error.code) from error
