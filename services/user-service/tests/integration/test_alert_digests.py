"""Digests of alerts that task-service asks for: e-mails to managers who want them."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from event_contracts import AlertDigestDue, Contract, NotificationReady
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event
from service_chassis.testing.conformance.backbone import delivered
from user_service.model.user import Role, User

Published = Callable[[type[Contract]], list[Event]]


@pytest.fixture
def mia(new_user: Callable[..., User]) -> User:
    return new_user("mia", Role.MANAGER)


@pytest.fixture
def due(deliver: Callable[..., None], clock: ManualClock, mia: User) -> Callable[[], None]:
    """Says as task-service does that a manager has many alerts."""

    def due() -> None:
        counts = {"missed": 14, "due_soon": 3, "assignee_deactivated": 0, "consequence_held": 1}
        digest = AlertDigestDue(digest_id=uuid7(), manager_id=mia.id, **counts)
        deliver(*delivered(clock, digest))

    return due


def test_a_digest_is_mailed_to_the_manager(mia: User, due: Callable[[], None], published: Published) -> None:
    due()

    (ready,) = published(NotificationReady)
    assert (ready.data.channel, ready.data.recipient) == ("email", mia.email)
    assert ready.data.template_code == "task_alert_digest"
    assert ready.data.variables == {"missed": 14, "due_soon": 3, "assignee_deactivated": 0, "consequence_held": 1}


def test_a_manager_who_wants_no_email_gets_none(
    mia: User, due: Callable[[], None], signed_in: Callable[..., FlaskClient], published: Published
) -> None:
    signed_in(mia.email).patch("/api/v1/users/preferences", json={"email": False})

    due()

    assert published(NotificationReady) == []
