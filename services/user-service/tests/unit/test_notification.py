from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from user_service.model.notification import Channel, Notification, NotificationStatus, Report, Skip

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DELIVERED, PENDING, FAILED = Report


@pytest.fixture
def notification() -> Notification:
    return Notification.new(uuid4(), Channel.EMAIL, "welcome", {}, at=NOW, correlation_id=None)


@pytest.mark.parametrize(
    ("reports", "status"),
    [
        ([], NotificationStatus.PROCESSING),
        ([PENDING], NotificationStatus.PENDING),
        ([PENDING, DELIVERED], NotificationStatus.SENT),
        ([FAILED, PENDING], NotificationStatus.FAILED),
        ([FAILED, DELIVERED], NotificationStatus.SENT),
        ([DELIVERED, PENDING], NotificationStatus.SENT),
        ([DELIVERED, FAILED], NotificationStatus.SENT),
    ],
)
def test_reports_may_come_late_and_twice(
    notification: Notification, reports: list[Report], status: NotificationStatus
) -> None:
    for report in [each for each in reports for _ in range(2)]:
        notification.report(report, None, at=LATER)

    assert notification.status == status
    assert notification.updated_at == (LATER if reports else NOW)


def test_what_was_skipped_stays_so(notification: Notification) -> None:
    notification.skip(Skip.EMAIL_OFF)

    notification.report(DELIVERED, None, at=LATER)

    assert (notification.status, notification.reason) == (NotificationStatus.SKIPPED, Skip.EMAIL_OFF)
