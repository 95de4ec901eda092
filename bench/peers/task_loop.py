"""The sweep of the systems people come from: one overdue task after the other, each in a transaction of its own.

It does what ours does for a task (status, alert, event in an outbox, count of the assignee's misses), with the same
durability, on the same tables.
"""

import json
import time
import uuid
from datetime import timedelta

import psycopg

DUE = """
SELECT id, assignee_id, creator_id, deadline FROM tasks
WHERE status IN ('pending', 'in_progress') AND deadline < now() ORDER BY deadline, id LIMIT %s
"""
MISS = (
    "UPDATE tasks SET status = 'missed', missed_at = deadline, version = version + 1, updated_at = now() WHERE id = %s"
)
HISTORY = "INSERT INTO task_history (task_id, action, at) VALUES (%s, 'task_missed', %s)"
ALERT = (
    "INSERT INTO alerts (task_id, manager_id, kind, raised_at) VALUES (%s, %s, 'missed', now()) ON CONFLICT DO NOTHING"
)
EVENT = """
INSERT INTO outbox (message_id, exchange, routing_key, content_type, source, body, events, correlation_id, created_at)
VALUES (%s, 'peer', 'task.missed', 'application/json', '/peer', %s, 1, '', now())
"""
COUNT = """
SELECT count(*) FROM tasks WHERE assignee_id = %s AND status = 'missed' AND excused_at IS NULL
AND missed_at > %s AND missed_at <= %s
"""


def rate(database: str, tasks: int, limit: int, window: timedelta) -> float:
    """Let so many overdue tasks be missed in a loop; return tasks per second."""
    with psycopg.connect(database, autocommit=True) as connection:
        due = connection.execute(DUE, (tasks,)).fetchall()
        over: set[uuid.UUID] = set()
        started = time.monotonic()
        for task_id, assignee_id, creator_id, deadline in due:
            body = json.dumps({"task_id": str(task_id), "missed_at": deadline.isoformat()})
            with connection.transaction():
                connection.execute(MISS, (task_id,))
                connection.execute(HISTORY, (task_id, deadline))
                connection.execute(ALERT, (task_id, creator_id))
                connection.execute(EVENT, (uuid.uuid4(), body))
                counted = connection.execute(COUNT, (assignee_id, deadline - window, deadline)).fetchone()
            if counted is not None and counted[0] >= limit:
                over.add(assignee_id)
        return len(due) / (time.monotonic() - started)
