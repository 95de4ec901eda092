"""What a unit of work does once it has committed."""

from datetime import UTC, datetime

import pytest

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.testing.plugin import any_database
from service_chassis.unit_of_work import UnitOfWork, Units

pytestmark = any_database


@pytest.fixture
def units(database: Database) -> Units[UnitOfWork]:
    return Units(database, UnitOfWork, ManualClock(datetime(2030, 1, 15, tzinfo=UTC)))


def test_steps_for_afterwards_come_after_the_commit_in_their_order(units: Units[UnitOfWork]) -> None:
    steps: list[str] = []

    with units.write() as uow:
        uow.after_commit(lambda: steps.append("first"))
        uow.after_commit(lambda: steps.append("second"))
        assert steps == []

    assert steps == ["first", "second"]


def test_what_is_rolled_back_has_no_afterwards(units: Units[UnitOfWork]) -> None:
    steps: list[str] = []

    def fail() -> None:
        with units.write() as uow:
            uow.after_commit(lambda: steps.append("never"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert steps == []
