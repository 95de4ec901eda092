from service_chassis.testing.conformance.description import DescriptionConformance


class TestDescription(DescriptionConformance):
    pass
