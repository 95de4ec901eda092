from service_chassis.testing.conformance.parking import ParkedConformance
from service_chassis.testing.plugin import any_broker


@any_broker
class TestParked(ParkedConformance):
    pass
