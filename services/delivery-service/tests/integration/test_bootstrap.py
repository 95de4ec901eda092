from service_chassis.testing.conformance.trust import TrustConformance
from service_chassis.testing.plugin import only_sqlite


@only_sqlite
class TestTrust(TrustConformance):
    path = "/api/v1/templates"
