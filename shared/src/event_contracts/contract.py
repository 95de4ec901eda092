"""What every event contract states about itself."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, TypeVar

import msgspec


class Kind(StrEnum):
    """What a consumer may rely on, in whatever order and however often the events of a type arrive.

    `state` carries the full public state of its aggregate, and the version of that state in the envelope: apply it
    if it is newer than what is known. A deletion leaves a tombstone, so that an older state which arrives late
    brings nothing back. `fact` says that something happened and commutes with every other event: taking each id
    once is enough.
    """

    STATE = "state"
    FACT = "fact"


class Audience(StrEnum):
    """Who may be sent the events of a type.

    `internal` never leaves the services. `account` names the account it belongs to and may go to the destinations
    of that account. `platform` may go only to destinations that platform administrators made.
    """

    INTERNAL = "internal"
    ACCOUNT = "account"
    PLATFORM = "platform"


Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment in UTC; one without a time zone is refused when it is read."""


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of one type of event, as its owner publishes it and everybody else reads it.

    A published contract never changes, except that optional fields are added; anything else is a new type with the
    next version number. Consumers pass over fields they do not know.
    """

    type: ClassVar[str]
    """The event type, which is also the routing key, such as `user.deactivated.v1`."""
    exchange: ClassVar[str]
    """The topic exchange the events are published to."""
    source: ClassVar[str]
    """The only service that may emit them, as CloudEvents names it, such as `/user-service`."""
    kind: ClassVar[Kind]
    audience: ClassVar[Audience]

    @property
    def subject(self) -> str:
        """The id of the aggregate the event is about."""
        raise NotImplementedError


C = TypeVar("C", bound=Contract)


def validated(event: C) -> C:
    """Return the event as a consumer would read it; raises msgspec.ValidationError for a value of a wrong type.

    Neither constructing nor publishing an event checks anything, to keep bulk publishing cheap. The contract tests
    of a service pass what it publishes through here instead.
    """
    return msgspec.convert(msgspec.to_builtins(event), type(event))
