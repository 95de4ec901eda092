from service_chassis.testing.conformance.broker import BrokerConformance


class TestBroker(BrokerConformance):
    pass
