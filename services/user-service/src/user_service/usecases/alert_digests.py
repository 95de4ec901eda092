"""Letters to managers about the alerts that task-service counted for them."""

from event_contracts import AlertDigestDue
from service_chassis.messaging.envelope import Event
from user_service.model.notification import Channel
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import notifications
from user_service.usecases.notifications import Wanted

TEMPLATE = "task_alert_digest"


def send(uow: UnitOfWork, event: Event) -> None:
    """Ask for an e-mail as others do: whoever wants none gets none. Raises UserNotFound."""
    digest: AlertDigestDue = event.data
    counts = {
        "missed": digest.missed,
        "due_soon": digest.due_soon,
        "assignee_deactivated": digest.assignee_deactivated,
        "consequence_held": digest.consequence_held,
    }
    notifications.request(
        uow, Wanted(Channel.EMAIL, digest.manager_id, TEMPLATE, counts, request_id=str(digest.digest_id))
    )
