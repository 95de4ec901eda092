"""What can go wrong with destinations and deliveries, each with its code."""

from service_chassis.errors import Conflict, Invalid, NotFound


class UrlRefused(Invalid):
    """Nothing is sent to this URL."""

    code = "url_refused"


class HeaderRefused(Invalid):
    """This header cannot be set."""

    code = "header_refused"


class SubscriptionInvalid(Invalid):
    """This is not a subscription."""

    code = "subscription_invalid"


class DestinationNotFound(NotFound):
    """There is no such destination."""

    code = "destination_not_found"


class DeliveryNotFound(NotFound):
    """There is no such delivery."""

    code = "delivery_not_found"


class DeliveryUnderWay(Conflict):
    """This delivery is being sent, or will be by itself."""

    code = "delivery_under_way"
