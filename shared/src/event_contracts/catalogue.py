"""All contracts there are."""

import inspect
from collections.abc import Mapping
from types import MappingProxyType

from event_contracts.accounts import (
    AccountCreated,
    AccountDeleted,
    AccountUpdated,
    MembershipGranted,
    MembershipRevoked,
)
from event_contracts.cleanup import (
    DeactivationRequested,
    PurgeRequested,
    ReactivationRequested,
    RunCompleted,
    RunStarted,
    WarningDue,
)
from event_contracts.contract import Contract
from event_contracts.delivery import NotificationDelivered, NotificationFailed
from event_contracts.notifications import NotificationReady
from event_contracts.tasks import AlertDigestDue, TaskAssigned, TaskMissed, TaskMissLimitReached, TaskStatusChanged
from event_contracts.users import (
    UserActivityRecorded,
    UserDeactivated,
    UserDeactivationRefused,
    UserPurged,
    UserReactivated,
    UserRegistered,
    UserUpdated,
    UserWatermark,
)

CATALOGUE: tuple[type[Contract], ...] = (
    UserRegistered,
    UserUpdated,
    UserActivityRecorded,
    UserDeactivated,
    UserDeactivationRefused,
    UserReactivated,
    UserPurged,
    UserWatermark,
    AccountCreated,
    AccountUpdated,
    AccountDeleted,
    MembershipGranted,
    MembershipRevoked,
    NotificationReady,
    RunStarted,
    WarningDue,
    DeactivationRequested,
    PurgeRequested,
    ReactivationRequested,
    RunCompleted,
    TaskAssigned,
    TaskStatusChanged,
    TaskMissed,
    TaskMissLimitReached,
    AlertDigestDue,
    NotificationDelivered,
    NotificationFailed,
)

by_type: Mapping[str, type[Contract]] = MappingProxyType({contract.type: contract for contract in CATALOGUE})


def exchanges() -> dict[str, list[type[Contract]]]:
    """Return the contracts by the exchange they are published to."""
    grouped: dict[str, list[type[Contract]]] = {}
    for contract in CATALOGUE:
        grouped.setdefault(contract.exchange, []).append(contract)
    return grouped


def dataschema(contract: type[Contract]) -> str:
    """Return the URI reference that envelopes give for the schema of their data."""
    return f"/contracts/{contract.type}"


def summary(contract: type[Contract]) -> str:
    """Return in one sentence when the event happens."""
    return (inspect.getdoc(contract) or "").partition("\n")[0]


def meaning(contract: type[Contract]) -> str:
    """Return when the event happens and what a consumer may conclude, in paragraphs."""
    return paragraphs(inspect.getdoc(contract) or "")


def paragraphs(text: str) -> str:
    """Return text with one line for each paragraph, whatever width it was written in."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
