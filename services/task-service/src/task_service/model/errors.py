"""What can go wrong with tasks and what follows from them, each with its code."""

from service_chassis.errors import Conflict, Forbidden, Invalid, NotFound, Unprocessable


class TaskNotFound(NotFound):
    """There is no such task."""

    code = "task_not_found"


class DeadlineInPast(Invalid):
    """A deadline lies in the future."""

    code = "deadline_in_past"


class DeadlinePassed(Conflict):
    """The deadline of this task has passed; only a manager can change it now."""

    code = "deadline_passed"


class InvalidTransition(Conflict):
    """A task in this status does not allow that."""

    code = "invalid_transition"


class StaleVersion(Conflict):
    """Somebody has changed the task meanwhile; read it anew."""

    code = "stale_version"


class SameAssignee(Conflict):
    """The task is theirs already."""

    code = "same_assignee"


class StatusNotYours(Forbidden):
    """Only a manager cancels a task, and only its deadline makes it missed."""

    code = "status_not_yours"


class UnknownAssignee(Unprocessable):
    """There is no active user with this id."""

    code = "unknown_assignee"


class ConsequenceNotFound(NotFound):
    """There is no such consequence."""

    code = "consequence_not_found"


class NotHeld(Conflict):
    """This consequence does not wait for approval."""

    code = "not_held"


class NoLongerReached(Conflict):
    """So many tasks do not count as missed any more; reject this consequence."""

    code = "no_longer_reached"
