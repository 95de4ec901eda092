"""What can go wrong with destinations, deliveries, mails and templates, each with its code."""

from service_chassis.errors import Conflict, Invalid, NotFound, ServiceError, Unprocessable


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


class UrlRefused(Invalid):
    """Nothing is sent to this URL."""

    code = "url_refused"


class HeaderRefused(Invalid):
    """This header cannot be set."""

    code = "header_refused"


class SubscriptionInvalid(Invalid):
    """This is not a subscription."""

    code = "subscription_invalid"


class DeliveryUnderWay(Conflict):
    """This delivery is being sent, or will be by itself."""

    code = "delivery_under_way"


class PayloadInvalid(Invalid):
    """Invalid Data: it must be a JSON object."""

    code = "payload_invalid"


class EventDiffers(Conflict):
    """There is an event with this id and other data."""

    code = "event_differs"
