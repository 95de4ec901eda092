"""What can go wrong with mails and templates, each with its code."""

from service_chassis.errors import NotFound, ServiceError, Unprocessable


class TemplateNotFound(NotFound):
    """There is no such template."""

    code = "template_not_found"


class TemplateNotRendered(Unprocessable):
    """The template cannot be rendered with these variables."""

    code = "template_not_rendered"


class MailRefused(ServiceError):
    """The mail server will never take this mail."""

    code = "mail_refused"


class MailPostponed(ServiceError):
    """The mail server does not take this mail now."""

    code = "mail_postponed"


class SealBroken(MailPostponed):
    """The secret variables were sealed with another NOTIFICATION_SECRET, which an operator can mend."""

    code = "seal_broken"
