"""What user-service says of people whom the projection does not show as active."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from service_chassis.clients import ReadThrough, ServiceClient
from task_service.model.errors import UnknownAssignee
from task_service.model.known_user import ACTIVE
from task_service.persistence.unit_of_work import UnitOfWork


class OwnersAnswer(msgspec.Struct, frozen=True):
    id: UUID
    role: str
    status: str
    version: int
    reactivated_at: datetime | None = None
    name: str | None = None
    username: str | None = None

    def state(self) -> dict[str, Any]:
        """Return it as the projection takes it."""
        fields = msgspec.structs.asdict(self)
        return {"user_id": fields.pop("id"), "named_version": self.version, **fields}


class Directory:
    """Asks user-service, so that whoever has just registered can be given a task at once."""

    def __init__(self, owner: ServiceClient) -> None:
        self._owner = owner
        self._answers: ReadThrough[UUID, OwnersAnswer] = ReadThrough()

    def newer(
        self, read: Callable[[], AbstractContextManager[UnitOfWork]], ids: Collection[UUID]
    ) -> Sequence[OwnersAnswer]:
        """Return the active ones among those that are not known as active here; the slow part, so in no transaction.

        Raises UpstreamUnavailable, UpstreamRefused: when user-service cannot be asked, nobody is refused.
        """
        with read() as uow:
            known = uow.known_users.active(ids)
        missed = [user_id for user_id in ids if user_id not in known]
        return list(self._answers.confirm(missed, self._ask).values())

    def _ask(self, ids: Sequence[UUID]) -> Mapping[UUID, OwnersAnswer]:
        answers = self._owner.ask("/internal/users/lookup", {"ids": ids}, list[OwnersAnswer])
        return {answer.id: answer for answer in answers if answer.status == ACTIVE}


def check_assignees(uow: UnitOfWork, ids: Collection[UUID], newer: Sequence[OwnersAnswer]) -> None:
    """Let these users be given tasks, and stay active until this transaction ends. Raises UnknownAssignee."""
    uow.known_users.apply_states([answer.state() for answer in newer])
    missing = sorted(set(ids) - uow.known_users.kept_active(ids))
    if missing:
        raise UnknownAssignee(fields={"assignee_id": [f"There is no active user {user_id}." for user_id in missing]})
