"""Every way to what the services guard, and whether somebody is let in on it."""

from collections.abc import Iterator

from service_chassis.testing.waiting import wait_until
from tests.running.door import Door
from tests.running.people import person
from tests.running.steward import CLEANUP, TASK, TASKS, USER, Steward

WITHIN = 5.0
PATHS = {USER: "/api/v1/users", CLEANUP: "/api/v1/reports", TASK: TASKS}


def manager(system: Steward) -> Door:
    """Return the gateway as a new manager sees it, who may read users and reports."""
    email = person("manager", days_away=0).email
    system.register(email, "manager")
    door = system.sign_in(email)
    # A process that has just started answers administrators once it has heard which sessions have ended.
    wait_until(lambda: statuses(system, door) == {200}, WITHIN)
    return door


def doors(system: Steward, door: Door) -> Iterator[tuple[Door, str]]:
    """Yield every way to what the services guard: through the gateway, and past it."""
    for service, path in PATHS.items():
        yield door, path
        yield door.at(system.services[service]), path


def statuses(system: Steward, door: Door) -> set[int]:
    return {each.get(path).status for each, path in doors(system, door)}


def refused_everywhere(system: Steward, door: Door) -> set[str | None]:
    """Wait until nothing is answered any more, whichever process of a service is asked; return the codes."""

    def codes() -> set[str | None]:
        # Each service has several processes, and which of them answers is left to the system.
        return {each.get(path).error for each, path in doors(system, door) for _ in range(8)}

    wait_until(lambda: None not in codes(), WITHIN, every=0.1)
    return codes()
