"""What the service's web and commands work with besides the unit of work."""

from dataclasses import dataclass

from user_service.config import Settings
from user_service.model.passwords import Passwords
from user_service.usecases.sign_in import SignIn
from user_service.usecases.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    passwords: Passwords
    tokens: Tokens
    sign_in: SignIn
