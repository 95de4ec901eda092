"""What must hold once nothing is under way any more, whatever happened before."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from service_chassis.testing.waiting import wait_until
from tests.running.cleanup import DEACTIVATED, CleanupRun
from tests.running.people import Person
from tests.running.steward import CLEANUP, DELIVERY, TASK, USER, Steward

SETTLES_WITHIN = 30.0


def assert_reconciled(run: CleanupRun, people: Iterable[Person]) -> None:
    """Check that a finished run has an outcome for everybody in it, and switched off those it had to, once each."""
    people = list(people)
    view = run.view
    told = Counter(
        event["data"]["user_id"]
        for event in run.system.events(USER, "user.deactivated.v1")
        if event["data"]["run_id"] == run.id
    )
    assert view["status"] == "completed"
    assert view["candidates"] == view["deactivated"] + view["refused"] + view["failed"]
    assert view["failed"] == 0
    assert run.outcomes(people) == {one.email: DEACTIVATED for one in people if one.is_inactive}
    assert len(told) == view["deactivated"]
    assert set(told.values()) <= {1}


def assert_settled(system: Steward) -> None:
    """Check that every user is known to cleanup-service as it is, and that nothing failed on the way."""
    wait_until(lambda: known(system) == actual(system), SETTLES_WITHIN, every=0.1)
    for service in (USER, CLEANUP, TASK, DELIVERY):
        assert system.rows(service, "SELECT type, reason, error FROM failed_messages") == []


def actual(system: Steward) -> dict[UUID, tuple[str, int]]:
    """Return status and version of every user, as user-service has them."""
    rows = system.rows(USER, "SELECT id, status, version FROM users")
    return {UUID(str(row.id)): (row.status, row.version) for row in rows}


def known(system: Steward) -> dict[UUID, tuple[str, int]]:
    """Return the same as cleanup-service has heard it."""
    rows = system.rows(CLEANUP, "SELECT user_id, status, version FROM users")
    return {UUID(str(row.user_id)): (row.status, row.version) for row in rows}
