"""Who does something to a task."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Actor:
    id: UUID
    manages: bool
    """Whether tasks of others are their business, too."""
