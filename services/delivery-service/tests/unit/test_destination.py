from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from delivery_service.model.destination import Destination, Reason, Settings
from delivery_service.model.schedule import Schedule
from service_chassis.breaker import Record, State
from service_chassis.sealing import Seal

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
SEAL = Seal("secret", "destinations")


def made(**settings: object) -> tuple[Destination, str]:
    chosen = Settings(url="https://example.com/", **settings)  # type: ignore[arg-type]
    return Destination.create(UUID(int=1), chosen, SEAL, platform=False, at=NOW)


def test_secret_and_headers_are_sealed_in_the_row_and_open_in_the_target() -> None:
    destination, secret = made(headers={"Authorization": "Bearer abc"})

    kept = " ".join(str(value) for value in vars(destination).values())
    assert secret not in kept
    assert "abc" not in kept
    target = destination.target(SEAL, timeout=15)
    assert (target.secrets.current, target.headers) == (secret, {"Authorization": "Bearer abc"})


def test_a_rotation_keeps_the_secret_before_it_for_a_day() -> None:
    destination, old = made()
    new = destination.rotate_secret(SEAL, at=NOW)

    secrets = destination.target(SEAL, timeout=15).secrets
    assert secrets.signing(NOW + timedelta(hours=23)) == (new, old)
    assert secrets.signing(NOW + timedelta(hours=24)) == (new,)


def test_headers_that_are_not_given_stay() -> None:
    destination, _ = made(headers={"X-Key": "k"})
    destination.configure(Settings(url="https://example.org/"), SEAL, at=NOW)

    target = destination.target(SEAL, timeout=15)
    assert (target.url, target.headers) == ("https://example.org/", {"X-Key": "k"})


@pytest.mark.parametrize(("own", "limit", "used"), [(None, 15, 15), (5, 15, 5), (60, 15, 15)])
def test_a_timeout_of_its_own_can_only_be_shorter(own: float | None, limit: float, used: float) -> None:
    destination, _ = made(timeout_seconds=own)

    assert destination.target(SEAL, timeout=limit).timeout == used


def test_a_schedule_of_its_own_takes_the_place_of_the_usual_one() -> None:
    assert made()[0].schedule(Schedule()) == Schedule()
    assert made(retry_schedule=(0, 60))[0].schedule(Schedule()) == Schedule.of_seconds([0, 60])


def test_enabling_closes_the_breaker_and_forgets_the_failures() -> None:
    destination, _ = made()
    destination.disable(Reason.FAILING, at=NOW)
    destination.breaker_state, destination.breaker_failures, destination.failing_since = State.OPEN, 5, NOW
    assert not destination.is_enabled

    destination.enable(at=NOW)

    assert destination.is_enabled
    assert (destination.breaker, destination.failing_since, destination.disabled_reason) == (Record(), None, None)


def test_what_is_paused_or_deleted_is_not_sent_to() -> None:
    paused, _ = made()
    paused.pause(at=NOW)
    deleted, _ = made()
    deleted.delete(at=NOW)

    assert not paused.is_enabled
    assert not deleted.is_enabled


def test_each_change_raises_the_version() -> None:
    destination, _ = made()
    versions = [destination.version]
    for change in (destination.pause, destination.enable, destination.delete):
        change(at=NOW)
        versions.append(destination.version)

    assert versions == [1, 2, 3, 4]
