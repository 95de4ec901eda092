"""What the service's web and commands work with besides the unit of work."""

from dataclasses import dataclass

from delivery_service.config import Settings
from delivery_service.mailing.folder import MailFolder
from delivery_service.mailing.templates import Templates


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    templates: Templates
    folder: MailFolder
