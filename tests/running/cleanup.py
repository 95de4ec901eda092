"""Cleanup runs as an administrator carries them out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service_chassis.testing.waiting import wait_until
from tests.running.people import Person
from tests.running.steward import CLEANUP, RUN_WITHIN, RUNS, USER, Steward

LOOK_EVERY = 0.1
OPEN = {"planned", "running", "awaiting_approval"}
DEACTIVATED = ("deactivated", None)

Outcome = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class CleanupRun:
    system: Steward
    id: str

    @classmethod
    def triggered(cls, system: Steward, **headers: str) -> "CleanupRun":
        """Start a run."""
        answer = system.admin.post(RUNS, **headers)
        assert answer.status == 202, answer
        return cls(system, answer.data["id"])

    @classmethod
    def planned(cls, system: Steward) -> "CleanupRun":
        """Start a run that waits for approval after its plan, because it expects nobody to be in it; somebody must be."""
        run = cls(system, system.admin.post(RUNS, {"expect_up_to": 0}).data["id"])
        wait_until(lambda: run.status == "awaiting_approval", RUN_WITHIN, LOOK_EVERY)
        return run

    @property
    def view(self) -> dict[str, Any]:
        return dict(self.system.admin.get(f"{RUNS}/{self.id}").data)

    @property
    def status(self) -> str:
        return str(self.view["status"])

    @property
    def settled(self) -> int:
        """Return how many members have an outcome, as the database has it, whether or not anything runs."""
        query = (
            "SELECT count(*) FROM run_members JOIN runs ON number = run_number WHERE slot = 1 AND outcome IS NOT NULL"
        )
        return int(self.system.value(CLEANUP, query))

    def is_half_way(self) -> bool:
        """Say whether user-service has answered for some of its members."""
        return bool(self.view["deactivated"])

    def approve(self) -> None:
        assert self.system.admin.post(f"{RUNS}/{self.id}/approve").status == 200

    def finished(self, within: float = RUN_WITHIN) -> dict[str, Any]:
        """Wait for the end and return the run as it is then."""
        wait_until(lambda: self.status not in OPEN, within, LOOK_EVERY)
        return self.view

    def outcomes(self, people: Iterable[Person]) -> dict[str, Outcome]:
        """Return outcome and reason by e-mail address, of those of these people that are in the plan."""
        emails = {UUID(str(row.id)): row.email for row in self.system.rows(USER, "SELECT id, email FROM users")}
        query = "SELECT user_id, outcome, reason FROM run_members WHERE run_number = :number"
        members = self.system.rows(CLEANUP, query, number=self.view["report_id"])
        settled = {emails[UUID(str(one.user_id))]: (one.outcome, one.reason) for one in members}
        return {one.email: settled[one.email] for one in people if one.email in settled}


def refused(reason: str) -> Outcome:
    return "refused", reason


def leave_none_open(system: Steward) -> None:
    """Bring a run that a test has left open to its end, because only one is open at a time."""
    for view in system.admin.get(RUNS, limit=1).data:
        run = CleanupRun(system, view["id"])
        if run.status == "awaiting_approval":
            run.approve()
        run.finished()
