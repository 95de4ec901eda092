"""Letters to managers who have more new alerts than they would look at one by one."""

from task_service.messaging import publications
from task_service.persistence.unit_of_work import UnitOfWork


def tell(uow: UnitOfWork, over: int) -> int:
    """Ask for a letter to each of the first managers with new alerts who has not read more than `over` of them.

    Return how many managers were looked at. Whoever has fewer waits for more, and finds them in the list meanwhile.
    """
    waiting = uow.alerts.digests_due()
    unread = uow.alerts.unread([digest.manager_id for digest in waiting])
    for digest in waiting:
        counts = unread.get(digest.manager_id)
        if counts is not None and sum(counts.by_kind.values()) > over:
            uow.publish(publications.alert_digest_due(digest.manager_id, counts.by_kind))
            digest.told_up_to = counts.up_to
        digest.due = False
    return len(waiting)
