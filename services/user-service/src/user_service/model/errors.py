"""What can go wrong with users, sessions, accounts and notifications, each with its code."""

from service_chassis.errors import Conflict, Forbidden, Invalid, NotFound, TooManyRequests, Unauthenticated


class UserNotFound(NotFound):
    """There is no such user."""

    code = "user_not_found"


class EmailTaken(Conflict):
    """This e-mail address is in use already."""

    code = "email_taken"


class EmailTakenAndCounted(EmailTaken):
    """This e-mail address is in use already."""

    keeps_effects = True


class InvalidEmail(Invalid):
    """This is no e-mail address."""

    code = "invalid_email"


class UsernameTaken(Conflict):
    """This username is in use already."""

    code = "username_taken"


class InvalidUsername(Invalid):
    """A username has up to 150 letters, digits and . _ + -, and no others."""

    code = "invalid_username"


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


class WrongPassword(Forbidden):
    """This is not your password."""

    code = "wrong_password"


class InvalidOneTimeToken(Invalid):
    """This token is not valid: it was used, replaced by a newer one, or has expired."""

    code = "invalid_token"


class SessionNotFound(NotFound):
    """There is no such session."""

    code = "session_not_found"


class TooManyAttempts(TooManyRequests):
    """Too many attempts; wait before the next one."""

    code = "too_many_attempts"


class InvalidCredentials(Unauthenticated):
    """Name or password is wrong, or the address has to be confirmed first."""

    code = "invalid_credentials"


class InvalidRefreshToken(Unauthenticated):
    """This refresh token is not valid."""

    code = "invalid_refresh_token"


class InvalidOpaqueToken(Unauthenticated):
    """This token is not valid."""

    code = "invalid_token"


class InvalidClient(Unauthenticated):
    """Client id or secret is wrong."""

    code = "invalid_client"
    keeps_effects = True


class RefreshTokenReused(InvalidRefreshToken):
    """This refresh token was used before; the session has been ended."""

    code = "refresh_token_reused"
    keeps_effects = True


class MayNotEdit(Forbidden):
    """You may change your own name, and nothing else of a user."""

    code = "may_not_edit"


class AlreadyPurged(Conflict):
    """This user's personal data was erased; there is nothing left to change."""

    code = "already_purged"


class AccountNotFound(NotFound):
    """There is no such account."""

    code = "account_not_found"


class MayNotManageAccount(Forbidden):
    """Only an Admin of the account may do this."""

    code = "may_not_manage_account"


class MemberNotFound(NotFound):
    """This user does not belong to the account."""

    code = "member_not_found"


class AlreadyMember(Conflict):
    """This user belongs to the account already."""

    code = "already_member"


class LastAccountAdmin(Conflict):
    """An account with members keeps an Admin; make somebody else Admin first."""

    code = "last_account_admin"


class InvitationNotFound(NotFound):
    """There is no such invitation: it was used, taken back, has expired, or is for another address."""

    code = "invitation_not_found"


class TooManyInvitations(TooManyRequests):
    """This account or you have invited enough people for a day."""

    code = "too_many_invitations"


class RoleAboveOwn(Forbidden):
    """Nobody gives a role above the own one."""

    code = "role_above_own"


class NotificationNotFound(NotFound):
    """There is no such notification."""

    code = "notification_not_found"


class SystemTemplate(Forbidden):
    """This template is for what the system itself has to say."""

    code = "system_template"


class MayNotNotify(Forbidden):
    """You may notify yourself, and nobody else."""

    code = "may_not_notify"
