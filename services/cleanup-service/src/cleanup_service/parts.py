"""What the service's web works with besides the unit of work."""

from dataclasses import dataclass

from cleanup_service.config import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
