from cleanup_service.model import known_user, run
from cleanup_service.model.tables import Entity
from service_chassis.testing.conformance.migrations import MigrationsConformance


class TestMigrations(MigrationsConformance):
    base = Entity
    mapped = (known_user.KnownUser, known_user.Watermark, run.Run, run.Member)
