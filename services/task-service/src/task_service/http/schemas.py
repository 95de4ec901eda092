"""Shapes of requests and answers."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from service_chassis.http import PageQuery, Paging
from service_chassis.http.fields import Instant
from service_chassis.http.paging import paging_of
from task_service.model.alert import AlertKind
from task_service.model.miss_limit import LimitState
from task_service.model.task import DESCRIPTION_LIMIT, TITLE_LIMIT, Priority
from task_service.persistence.alerts import AlertFilter
from task_service.persistence.tasks import NEWEST_FIRST, SHOWN, SORTS, TaskFilter

NOTE_LIMIT = 1_000
MOST_ASSIGNEES = 500
MOST_ALERTS = 500
STATUSES = validate.OneOf([status.value for status in SHOWN])


def _title(**options: Any) -> fields.String:
    return fields.String(validate=validate.Length(min=1, max=TITLE_LIMIT), **options)


def _description(**options: Any) -> fields.String:
    return fields.String(validate=validate.Length(max=DESCRIPTION_LIMIT), **options)


def _priority(**options: Any) -> fields.String:
    return fields.String(validate=validate.OneOf([priority.value for priority in Priority]), **options)


class Assigned(Schema):
    """Who has to do a task, and how they are called."""

    assignee_id = fields.UUID(required=True)
    assignee_username = fields.String(required=True, allow_none=True)
    assignee_name = fields.String(required=True, allow_none=True, metadata={"description": "Null until it is known."})


class TaskView(Assigned):
    id = fields.UUID(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    status = fields.String(required=True)
    priority = fields.String(required=True)
    deadline = fields.DateTime(required=True)
    creator_id = fields.UUID(required=True)
    version = fields.Integer(required=True)
    excused = fields.Boolean(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    missed_at = fields.DateTime(required=True, allow_none=True)


class TaskText(Schema):
    """What a task says."""

    title = _title(required=True)
    description = _description(load_default="")
    priority = _priority(load_default=Priority.NORMAL.value)


class NewTask(TaskText):
    """A task without the person who is to do it."""

    deadline = Instant(required=True, metadata={"description": "In the future, with its time zone."})


class TaskBody(NewTask):
    assignee_id = fields.UUID(required=True)


class BulkBody(NewTask):
    assignee_ids = fields.List(
        fields.UUID(),
        required=True,
        validate=validate.Length(min=1, max=MOST_ASSIGNEES),
        metadata={"description": "Each of them gets a task of their own.", "uniqueItems": True},
    )


class Versioned(Schema):
    version = fields.Integer(
        strict=True,
        load_default=None,
        validate=validate.Range(1, 2**31 - 1),
        metadata={"description": "The version this change is made to; another one is refused."},
    )


class Noted(Versioned):
    note = fields.String(
        load_default="", validate=validate.Length(max=NOTE_LIMIT), metadata={"description": "Kept in the history."}
    )


class EditBody(Versioned):
    """What is left out stays as it is."""

    title = _title()
    description = _description()
    priority = _priority()


class ReplaceBody(TaskText, Versioned):
    """What is left out becomes what it is in a new task."""


class StatusBody(Noted):
    status = fields.String(required=True, validate=STATUSES)


class ExtendBody(Noted):
    deadline = Instant(required=True)


class ReassignBody(Noted):
    assignee_id = fields.UUID(required=True)


class HistoryView(Schema):
    action = fields.String(required=True)
    actor = fields.UUID(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    changes = fields.Dict(required=True, allow_none=True)
    at = fields.DateTime(required=True)
    correlation_id = fields.String(required=True, allow_none=True)


class TaskQuery(PageQuery):
    """The parameters of a list of tasks; loads as paging and filter."""

    status = fields.String(validate=STATUSES)
    assignee_id = fields.UUID()
    creator_id = fields.UUID()
    assignee_status = fields.String(
        validate=validate.OneOf(["active", "deactivated", "purged"]),
        metadata={"description": "`deactivated` lists what has to be handed over."},
    )
    deadline_from = Instant()
    deadline_to = Instant(metadata={"description": "Before this instant."})
    overdue = fields.Boolean(metadata={"description": "Whether the deadline passed before the task was done."})
    text = fields.String(
        validate=validate.Length(min=1, max=TITLE_LIMIT), metadata={"description": "A part of the title."}
    )
    sort = fields.String(load_default=NEWEST_FIRST, validate=validate.OneOf(list(SORTS)))

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, TaskFilter]:
        names = ("status", "assignee_id", "creator_id", "assignee_status", "deadline_from", "deadline_to")
        chosen = {name: data.pop(name, None) for name in (*names, "overdue", "text")}
        order = SORTS[data.pop("sort")]
        return paging_of(data), TaskFilter(**chosen, order=order)


class SummaryQuery(PageQuery):
    by = fields.String(load_default="assignee", validate=validate.OneOf(["assignee", "creator"]))
    deadline_from = Instant()
    deadline_to = Instant(metadata={"description": "Before this instant."})

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, str, TaskFilter]:
        chosen = TaskFilter(deadline_from=data.pop("deadline_from", None), deadline_to=data.pop("deadline_to", None))
        by = data.pop("by")
        return paging_of(data), by, chosen


class SummaryView(Schema):
    user_id = fields.UUID(required=True)
    pending = fields.Integer(required=True)
    in_progress = fields.Integer(required=True)
    completed = fields.Integer(required=True)
    missed = fields.Integer(required=True)
    cancelled = fields.Integer(required=True)
    total = fields.Integer(required=True)


class AlertQuery(PageQuery):
    kind = fields.String(validate=validate.OneOf([kind.value for kind in AlertKind]))
    read = fields.Boolean(metadata={"description": "Whether the caller has read it."})
    assignee_id = fields.UUID()
    creator_id = fields.UUID(metadata={"description": "The manager who made the task."})

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, AlertFilter]:
        names = ("kind", "read", "assignee_id", "creator_id")
        chosen = AlertFilter(**{name: data.pop(name, None) for name in names})
        return paging_of(data), chosen


class AlertView(Assigned):
    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    raised_at = fields.DateTime(required=True)
    read_at = fields.DateTime(required=True, allow_none=True)
    task_id = fields.UUID(required=True)
    title = fields.String(required=True)
    deadline = fields.DateTime(required=True)
    creator_id = fields.UUID(required=True)
    consequence_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "What waits at `/tasks/consequences/{id}/approve` or `/reject`."},
    )


class ReadBody(Schema):
    ids = fields.List(
        fields.Integer(strict=True, validate=validate.Range(1, 2**63 - 1)),
        required=True,
        validate=validate.Length(min=1, max=MOST_ALERTS),
    )


class ReadView(Schema):
    read = fields.Integer(required=True, metadata={"description": "How many were new to the caller."})


class ConsequenceQuery(PageQuery):
    state = fields.String(
        load_default=LimitState.HELD.value, validate=validate.OneOf([state.value for state in LimitState])
    )

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, str]:
        state = data.pop("state")
        return paging_of(data), state


class ConsequenceView(Schema):
    id = fields.UUID(required=True)
    user_id = fields.UUID(required=True)
    manager_id = fields.UUID(required=True)
    missed = fields.Integer(required=True)
    counted_from = fields.DateTime(required=True)
    reached_at = fields.DateTime(required=True)
    state = fields.String(required=True)
    found_at = fields.DateTime(required=True)
    decided_at = fields.DateTime(required=True, allow_none=True)
    decided_by = fields.UUID(required=True, allow_none=True)
