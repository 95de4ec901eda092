"""The rules on missed tasks: how many in which time are too many, and when a person has to look first."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class MissRules:
    limit: int
    """So many missed tasks within the window have a consequence."""
    window: timedelta
    due_soon: timedelta
    """How long before its deadline a task counts as due soon."""
    sweep_cap: int | None
    """More consequences than this in one sweep wait for approval; None switches the cap off."""
    manager_cap: int | None
    """The same for the consequences of tasks that one manager made."""
    digest_over: int
    """A manager with more new alerts than this gets a letter about them."""

    def counts(self, oldest: datetime, newest: datetime) -> bool:
        """Say whether two misses are in one window, which ends at the newer one and holds it."""
        return oldest > newest - self.window

    def held(self, managers: Collection[UUID]) -> set[UUID]:
        """Return whose consequences wait for approval, given the manager of each consequence of a sweep."""
        if self.sweep_cap is not None and len(managers) > self.sweep_cap:
            return set(managers)
        if self.manager_cap is None:
            return set()
        return {manager for manager, count in Counter(managers).items() if count > self.manager_cap}
