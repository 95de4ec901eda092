"""Who has lost access loses it everywhere within seconds, also past the gateway."""

from service_chassis.testing.waiting import wait_until
from tests.running.access import PATHS, WITHIN, manager, refused_everywhere, statuses
from tests.running.people import PASSWORD
from tests.running.steward import Steward


def test_a_manager_who_signed_out_is_refused_everywhere_within_five_seconds(system: Steward) -> None:
    door = manager(system)
    other_device = system.door.showing(door.token)

    assert door.post("/api/v1/auth/logout").status == 200

    assert refused_everywhere(system, other_device) == {"session_ended"}


def test_a_manager_who_was_deactivated_is_refused_everywhere_within_five_seconds(system: Steward) -> None:
    door = manager(system)
    user = door.get("/api/v1/users/profile").data

    assert system.admin.post(f"/api/v1/users/{user['id']}/deactivate", {"reason": "left"}).status == 200

    assert refused_everywhere(system, door) == {"session_ended"}
    login = system.door.post("/api/v1/auth/login", {"email": user["email"], "password": PASSWORD})
    assert (login.status, login.error) == (401, "invalid_credentials")


def test_a_manager_who_has_another_role_is_refused_everywhere_with_the_old_one(system: Steward) -> None:
    door = manager(system)
    user = door.get("/api/v1/users/profile").data

    changed = system.admin.send("PATCH", f"/api/v1/users/{user['id']}", b'{"role": "user"}')

    assert changed.status == 200
    assert refused_everywhere(system, door) == {"session_ended"}


def test_a_manager_who_changed_the_password_is_refused_everywhere_with_the_sessions_from_before(
    system: Steward,
) -> None:
    door = manager(system)
    body = {"current_password": PASSWORD, "password": "another secret that nobody knows"}

    renewed = door.post("/api/v1/auth/password", body)

    assert refused_everywhere(system, door) == {"session_ended"}
    wait_until(lambda: statuses(system, system.door.showing(renewed.data["access_token"])) == {200}, WITHIN)


def test_signing_out_ends_one_session_only(system: Steward) -> None:
    first = manager(system)
    second = system.sign_in(first.get("/api/v1/users/profile").data["email"])

    first.post("/api/v1/auth/logout")

    refused_everywhere(system, first)
    assert statuses(system, second) == {200}


def test_an_opaque_token_opens_every_service_until_it_is_signed_out(system: Steward) -> None:
    email = manager(system).get("/api/v1/users/profile").data["email"]
    granted = system.door.post("/api/v1/auth/opaque-token", {"email": email, "password": PASSWORD})
    shown = {"Authorization": f"Token {granted.data['token']}"}

    def asked() -> set[int]:
        return {system.door.send("GET", path, headers=shown).status for path in PATHS.values()}

    assert asked() == {200}
    assert system.door.send("POST", "/api/v1/auth/logout", headers=shown).status == 200
    wait_until(lambda: asked() == {401}, WITHIN)
