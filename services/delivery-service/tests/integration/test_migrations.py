from delivery_service.model import delivery, destination
from delivery_service.model.tables import Entity
from service_chassis.testing.conformance.migrations import MigrationsConformance


class TestMigrations(MigrationsConformance):
    base = Entity
    mapped = (
        destination.Destination,
        destination.Lease,
        delivery.Event,
        delivery.Delivery,
        delivery.AttemptEntry,
    )
