"""A budget for repeating requests, so that retries cannot multiply the load of a service in trouble."""

SHARE = 0.2
MOST = 10.0
"""Retries that may have been saved up; a gateway that has just started has as many."""


class RetryBudget:
    """One retry for every five requests, with a small reserve."""

    def __init__(self) -> None:
        self._saved = MOST

    def earn(self) -> None:
        """Count a request."""
        self._saved = min(MOST, self._saved + SHARE)

    def spend(self) -> bool:
        """Take one retry if there is one."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
