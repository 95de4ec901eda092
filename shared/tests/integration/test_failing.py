from service_chassis.testing.conformance.failing import DeadLetterConformance, RetryConformance
from service_chassis.testing.plugin import any_broker


@any_broker
class TestRetries(RetryConformance):
    pass


@any_broker
class TestDeadLetters(DeadLetterConformance):
    pass
