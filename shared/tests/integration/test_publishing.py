from service_chassis.testing.conformance.publishing import OutboxConformance, RelayConformance


class TestOutbox(OutboxConformance):
    pass


class TestRelay(RelayConformance):
    pass
