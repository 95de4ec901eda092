"""What delivery-service tells of a notification becomes its status."""

from typing import Any

import pytest

from event_contracts import NotificationDelivered, NotificationFailed
from service_chassis.messaging.envelope import Outgoing
from service_chassis.testing.service import Hear
from service_chassis.unit_of_work import Units
from user_service.model.notification import Channel, Notification


@pytest.fixture
def notification(units: Units[Any]) -> Notification:
    with units.write() as uow:
        made = Notification.new(None, Channel.EMAIL, "account_invitation", {}, at=uow.now, correlation_id=None)
        uow.notifications.add(made)
        uow.session.flush()
        uow.session.expunge(made)
    return made


def outcome(notification: Notification, clock: Any, contract: Any, **more: Any) -> Outgoing:
    instant = {"delivered_at" if contract is NotificationDelivered else "failed_at": clock.now()}
    return Outgoing(
        contract(
            notification_id=notification.id, user_id=None, channel=notification.channel, attempts=1, **instant, **more
        )
    )


def status(units: Units[Any], notification: Notification) -> tuple[str, str | None]:
    with units.read() as uow:
        found = uow.notifications.get(notification.id)
        return found.status, found.reason


def test_a_notification_that_was_delivered_is_sent(
    units: Units[Any], hear: Hear, clock: Any, notification: Notification
) -> None:
    assert status(units, notification) == ("processing", None)

    hear([outcome(notification, clock, NotificationDelivered)])

    assert status(units, notification) == ("sent", None)


def test_one_that_failed_says_why_and_one_that_arrived_stays_so(
    units: Units[Any], hear: Hear, clock: Any, notification: Notification
) -> None:
    failed = outcome(notification, clock, NotificationFailed, reason="mail_refused")
    hear([failed])
    assert status(units, notification) == ("failed", "mail_refused")

    hear([outcome(notification, clock, NotificationDelivered)])
    hear([outcome(notification, clock, NotificationFailed, reason="mail_refused")])
    assert status(units, notification) == ("sent", None)
