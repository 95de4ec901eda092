"""Who has lost access loses it everywhere within seconds, also past the gateway."""

from collections.abc import Iterator

from service_chassis.testing.waiting import wait_until
from tests.running.door import Door
from tests.running.people import PASSWORD, person
from tests.running.steward import CLEANUP, USER, Steward

WITHIN = 5.0
PATHS = {USER: "/api/v1/users", CLEANUP: "/api/v1/reports"}


def test_a_manager_who_signed_out_is_refused_everywhere_within_five_seconds(system: Steward) -> None:
    door = manager(system)
    other_device = system.door.showing(door.token)

    assert door.post("/api/v1/auth/logout").status == 200

    assert refused_everywhere(system, other_device) == {"session_ended"}


def test_a_manager_who_was_deactivated_is_refused_everywhere_within_five_seconds(system: Steward) -> None:
    door = manager(system)
    user = door.get("/api/v1/users").data[0]

    assert system.admin.post(f"/api/v1/users/{user['id']}/deactivate", {"reason": "left"}).status == 200

    assert refused_everywhere(system, door) == {"session_ended"}
    login = system.door.post("/api/v1/auth/login", {"email": user["email"], "password": PASSWORD})
    assert (login.status, login.error) == (401, "invalid_credentials")


def test_signing_out_ends_one_session_only(system: Steward) -> None:
    first = manager(system)
    second = system.sign_in(first.get("/api/v1/users").data[0]["email"])

    first.post("/api/v1/auth/logout")

    refused_everywhere(system, first)
    assert statuses(system, second) == {200}


def manager(system: Steward) -> Door:
    """Return the gateway as a new manager sees it, who may read users and reports."""
    email = person("manager", days_away=0).email
    body = {"email": email, "password": PASSWORD, "role": "manager"}
    assert system.admin.post("/api/v1/users", body).status == 201
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
