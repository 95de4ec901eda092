"""What can go wrong with users and sessions, each with its code."""

from service_chassis.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated


class UserNotFound(NotFound):
    """There is no such user."""

    code = "user_not_found"


class EmailTaken(Conflict):
    """This e-mail address is in use already."""

    code = "email_taken"


class InvalidEmail(Invalid):
    """This is no e-mail address."""

    code = "invalid_email"


class WeakPassword(Invalid):
    """The password is too weak."""

    code = "weak_password"


class LastAdmin(Conflict):
    """This is the last active admin, whom nobody may switch off."""

    code = "last_admin"


class AlreadyActive(Conflict):
    """The user is active already."""

    code = "already_active"


class AlreadyDeactivated(Conflict):
    """The user is deactivated already."""

    code = "already_deactivated"


class MayNotReactivate(Forbidden):
    """Managers reactivate users, not managers or admins."""

    code = "may_not_reactivate"


class InvalidCredentials(Unauthenticated):
    """E-mail or password is wrong."""

    code = "invalid_credentials"


class InvalidRefreshToken(Unauthenticated):
    """This refresh token is not valid."""

    code = "invalid_refresh_token"


class RefreshTokenReused(InvalidRefreshToken):
    """This refresh token was used before; the session has been ended."""

    code = "refresh_token_reused"
    keeps_effects = True
