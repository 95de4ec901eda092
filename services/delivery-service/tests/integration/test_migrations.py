from delivery_service.model import delivery, destination, mail
from delivery_service.model.tables import Entity
from service_chassis.testing.conformance.migrations import MigrationsConformance


class TestMigrations(MigrationsConformance):
    base = Entity
    mapped = (
        mail.Mail,
        destination.Destination,
        destination.Lease,
        delivery.Event,
        delivery.Delivery,
        delivery.AttemptEntry,
    )
