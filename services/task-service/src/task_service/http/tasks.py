"""Tasks: give them, look at them, move them on. Deadline, assignee and status have a path of their own each."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service_chassis.http import Blueprint, Page, Paging, allowed
from task_service.http.dependencies import actor, may_manage_tasks, newer_states, rules, uow
from task_service.http.schemas import (
    BulkBody,
    EditBody,
    ExtendBody,
    HistoryView,
    Noted,
    ReassignBody,
    ReplaceBody,
    StatusBody,
    SummaryQuery,
    SummaryView,
    TaskBody,
    TaskQuery,
    TaskView,
)
from task_service.model.history import HistoryEntry
from task_service.model.task import Priority, Task, TaskStatus
from task_service.persistence.known_users import Names
from task_service.persistence.tasks import TaskFilter
from task_service.usecases import assigning
from task_service.usecases import tasks as usecases

UNKNOWN = Names()
SHOWN = TaskView().fields.keys() - {"assignee_username", "assignee_name"}

tasks = Blueprint("tasks", __name__, url_prefix="/api/v1/tasks", description="Who has to do what by when.")


@tasks.route("", methods=["POST"])
@tasks.arguments(TaskBody)
@tasks.response(201, TaskView, description="Task assigned")
@allowed(may_manage_tasks)
def create_task(body: dict[str, Any]) -> dict[str, Any]:
    """Give somebody a task."""
    (task,) = _assign(body, [body.pop("assignee_id")])
    return _shown(task)


@tasks.route("/bulk-assign", methods=["POST"])
@tasks.arguments(BulkBody)
@tasks.response(201, TaskView(many=True), description="Tasks assigned")
@allowed(may_manage_tasks)
def bulk_assign(body: dict[str, Any]) -> Page[dict[str, Any]]:
    """Give each of several people the same task; all of them, or nobody."""
    return _all_shown(Page.whole(_assign(body, list(dict.fromkeys(body.pop("assignee_ids"))))))


@tasks.route("")
@tasks.arguments(TaskQuery, location="query")
@tasks.response(200, TaskView(many=True))
def list_tasks(query: tuple[Paging, TaskFilter]) -> Page[dict[str, Any]]:
    """List tasks; who manages none sees only the own."""
    paging, chosen = query
    wanted = chosen if actor().manages else chosen.only_of(actor().id)
    return _all_shown(uow().tasks.page(wanted, paging, uow().now))


@tasks.route("/summary")
@tasks.arguments(SummaryQuery, location="query")
@tasks.response(200, SummaryView(many=True))
@allowed(may_manage_tasks)
def summary(query: tuple[Paging, str, TaskFilter]) -> Page[Any]:
    """Count tasks by status, per assignee or per manager who made them."""
    paging, by, chosen = query
    column = Task.assignee_id if by == "assignee" else Task.creator_id
    return uow().tasks.summary(column, chosen, paging, uow().now)


@tasks.route("/<uuid:task_id>")
@tasks.response(200, TaskView)
def get_task(task_id: UUID) -> dict[str, Any]:
    """Return a task; who manages none finds only the own."""
    return _shown(usecases.find(uow(), task_id, actor()))


@tasks.route("/<uuid:task_id>", methods=["PATCH"])
@tasks.arguments(EditBody)
@tasks.response(200, TaskView, description="Task changed")
@allowed(may_manage_tasks)
def edit_task(body: dict[str, Any], task_id: UUID) -> dict[str, Any]:
    """Change title, description or priority."""
    version = body.pop("version")
    return _shown(usecases.edit(uow(), rules(), task_id, body, version=version, by=actor()))


@tasks.route("/<uuid:task_id>", methods=["PUT"])
@tasks.arguments(ReplaceBody)
@tasks.response(200, TaskView, description="Task replaced")
@allowed(may_manage_tasks)
def replace_task(body: dict[str, Any], task_id: UUID) -> dict[str, Any]:
    """Replace title, description and priority; the deadline is changed by `/extend`, so that it is noted."""
    version = body.pop("version")
    return _shown(usecases.edit(uow(), rules(), task_id, body, version=version, by=actor()))


@tasks.route("/<uuid:task_id>", methods=["DELETE"])
@tasks.response(200, description="Task deleted")
@allowed(may_manage_tasks)
def delete_task(task_id: UUID) -> None:
    """Take a task from sight; its history is kept."""
    usecases.delete(uow(), rules(), task_id, by=actor())


@tasks.route("/<uuid:task_id>/status", methods=["PATCH", "POST"])
@tasks.arguments(StatusBody)
@tasks.response(200, TaskView, description="Status changed")
def change_status(body: Mapping[str, Any], task_id: UUID) -> dict[str, Any]:
    """Move a task on; only managers cancel tasks and correct missed ones."""
    status = TaskStatus(body["status"])
    version = body["version"]
    return _shown(usecases.change_status(uow(), rules(), task_id, status, body["note"], version=version, by=actor()))


@tasks.route("/<uuid:task_id>/extend", methods=["POST"])
@tasks.arguments(ExtendBody)
@tasks.response(200, TaskView, description="Deadline changed")
@allowed(may_manage_tasks)
def extend_task(body: Mapping[str, Any], task_id: UUID) -> dict[str, Any]:
    """Give a task a new deadline; a missed one is open again."""
    deadline, version = body["deadline"], body["version"]
    return _shown(usecases.extend(uow(), rules(), task_id, deadline, body["note"], version=version, by=actor()))


@tasks.route("/<uuid:task_id>/excuse", methods=["POST"])
@tasks.arguments(Noted)
@tasks.response(200, TaskView, description="Task excused")
@allowed(may_manage_tasks)
def excuse_task(body: Mapping[str, Any], task_id: UUID) -> dict[str, Any]:
    """Let a task not count against its assignee."""
    return _shown(usecases.excuse(uow(), rules(), task_id, body["note"], version=body["version"], by=actor()))


@tasks.route("/<uuid:task_id>/reassign", methods=["POST"])
@tasks.arguments(ReassignBody)
@tasks.response(200, TaskView, description="Task reassigned")
@allowed(may_manage_tasks)
def reassign_task(body: Mapping[str, Any], task_id: UUID) -> dict[str, Any]:
    """Hand an open task to somebody else."""
    assignee_id = body["assignee_id"]
    newer = newer_states([assignee_id])
    task = assigning.reassign(
        uow(), rules(), task_id, assignee_id, body["note"], newer=newer, version=body["version"], by=actor()
    )
    return _shown(task)


@tasks.route("/<uuid:task_id>/history")
@tasks.response(200, HistoryView(many=True))
def history(task_id: UUID) -> Page[HistoryEntry]:
    """Return who did what to a task, newest first."""
    return Page.whole(uow().tasks.history(usecases.find(uow(), task_id, actor()).id))


def _assign(body: Mapping[str, Any], to: list[UUID]) -> list[Task]:
    newer = newer_states(to)
    return assigning.assign(
        uow(),
        body["title"],
        body["description"],
        Priority(body["priority"]),
        body["deadline"],
        to=to,
        newer=newer,
        by=actor(),
    )


def _all_shown(page: Page[Task]) -> Page[dict[str, Any]]:
    """Return what a list shows, with how the assignees are called."""
    names = uow().known_users.names({task.assignee_id for task in page.items})
    return page.each(lambda task: _with_names(task, names.get(task.assignee_id, UNKNOWN)))


def _shown(task: Task) -> dict[str, Any]:
    return _with_names(task, uow().known_users.names([task.assignee_id]).get(task.assignee_id, UNKNOWN))


def _with_names(task: Task, names: Names) -> dict[str, Any]:
    plain = {name: getattr(task, name) for name in SHOWN}
    return plain | {"assignee_username": names.username, "assignee_name": names.name}
