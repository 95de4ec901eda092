from service_chassis.testing.conformance.migrations import MigrationsConformance
from task_service.model import alert, history, known_user, miss_limit, task
from task_service.model.tables import Entity


class TestMigrations(MigrationsConformance):
    base = Entity
    mapped = (
        known_user.KnownUser,
        task.Task,
        history.HistoryEntry,
        alert.Alert,
        alert.AlertRead,
        alert.AlertDigest,
        miss_limit.MissLimit,
        miss_limit.Uncounted,
    )
