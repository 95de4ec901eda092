from service_chassis.testing.conformance.batches import BatchConformance
from service_chassis.testing.conformance.handling import CorrelationConformance, OnceConformance
from service_chassis.testing.plugin import any_broker


class TestOnce(OnceConformance):
    pass


@any_broker
class TestBatches(BatchConformance):
    pass


@any_broker
class TestCorrelation(CorrelationConformance):
    pass
