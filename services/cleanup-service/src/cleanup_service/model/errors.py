"""What can go wrong with cleanup runs, each with its code."""

from service_chassis.errors import Conflict, NotFound


class RunInProgress(Conflict):
    """A cleanup run is in progress; one runs at a time."""

    code = "run_in_progress"


class RunNotFound(NotFound):
    """There is no such cleanup run."""

    code = "run_not_found"


class NotAwaitingApproval(Conflict):
    """This run does not wait for approval."""

    code = "not_awaiting_approval"


class NoReportYet(NotFound):
    """No cleanup reports available."""

    code = "no_report"
