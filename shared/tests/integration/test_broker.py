from service_chassis.testing.conformance.broker import PublishingConformance, RoutingConformance
from service_chassis.testing.conformance.broker_consuming import ConsumingConformance


class TestPublishing(PublishingConformance):
    pass


class TestRouting(RoutingConformance):
    pass


class TestConsuming(ConsumingConformance):
    pass
