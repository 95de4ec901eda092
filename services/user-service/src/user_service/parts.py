"""What the service's web and commands work with besides the unit of work."""

from dataclasses import dataclass

from user_service.config import Settings
from user_service.model.password_policy import PasswordPolicy
from user_service.model.passwords import Passwords
from user_service.usecases.credentials import Credentials
from user_service.usecases.preferences import RememberedPreferences
from user_service.usecases.sign_in import SignIn
from user_service.usecases.throttling import Attempts
from user_service.usecases.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    passwords: Passwords
    password_policy: PasswordPolicy
    tokens: Tokens
    attempts: Attempts
    sign_in: SignIn
    credentials: Credentials
    preferences: RememberedPreferences
