"""What the service's web and commands work with besides the unit of work."""

from dataclasses import dataclass

from task_service.config import Settings
from task_service.usecases.directory import Directory


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    directory: Directory
