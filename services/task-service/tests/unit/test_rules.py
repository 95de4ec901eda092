"""Who has missed too many tasks, and when a person has to look first."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_chassis.ids import uuid7
from task_service.model.miss_limit import Miss, reached
from task_service.model.rules import MissRules

RULES = MissRules(
    limit=3, window=timedelta(days=7), due_soon=timedelta(days=1), sweep_cap=5, manager_cap=2, digest_over=10
)
START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ANNA, MIA, MAX = uuid7(), uuid7(), uuid7()


def misses(days: Sequence[float], *, reactivated: float | None = None) -> list[Miss]:
    """Return what the database returns of one user who missed tasks on these days."""
    since = None if reactivated is None else START + reactivated * DAY
    instants = [START + day * DAY for day in sorted(days) if since is None or START + day * DAY > since]
    counted = zip(instants[RULES.limit - 1 :], instants, strict=False)
    return [Miss(ANNA, MIA, newest, oldest, since) for newest, oldest in counted]


def days_told(found: Sequence[Miss]) -> list[float]:
    return [(miss.missed_at - START) / DAY for miss in found]


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ([1, 2], []),
        ([1, 2, 3], [3]),
        ([1, 2, 8], []),
        ([1, 2, 7.999], [7.999]),
        ([1, 1, 1], [1]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [3]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [3, 10]),
    ],
)
def test_the_limit_is_reached_once_per_user_and_window(days: list[float], told: list[float]) -> None:
    assert days_told(reached(misses(days), {}, RULES)) == told


def test_what_was_told_before_is_not_told_again() -> None:
    again = reached(misses([1, 2, 3, 4]), {ANNA: [START + 3 * DAY]}, RULES)

    assert again == []


def test_a_reactivation_begins_the_count_anew() -> None:
    """C-20."""
    before = {ANNA: [START + 3 * DAY]}

    assert days_told(reached(misses([1, 2, 3, 4, 5], reactivated=3.5), before, RULES)) == []
    assert days_told(reached(misses([1, 2, 3, 4, 5, 6], reactivated=3.5), before, RULES)) == [6]


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(0, 30))
def test_it_does_not_matter_in_how_many_pieces_time_is_looked_at(days: list[int], cut: int) -> None:
    every = misses(days)
    at_once = reached(every, {}, RULES)

    early = reached([miss for miss in every if miss.missed_at <= START + cut * DAY], {}, RULES)
    known: dict[UUID, list[datetime]] = {ANNA: [miss.missed_at for miss in early]}
    late = reached([miss for miss in every if miss.missed_at > START + cut * DAY], known, RULES)

    assert early + late == at_once


@pytest.mark.parametrize(
    ("managers", "held"),
    [
        ([], set()),
        ([MIA, MAX], set()),
        ([MIA, MIA, MAX], set()),
        ([MIA, MIA, MIA, MAX], {MIA}),
        ([MIA, MIA, MAX, MAX, uuid7()], set()),
    ],
)
def test_the_consequences_of_one_managers_tasks_are_capped(managers: list[UUID], held: set[UUID]) -> None:
    assert RULES.held(managers) == held


def test_too_many_consequences_at_once_are_all_held() -> None:
    managers = [uuid7() for _ in range(6)]

    assert RULES.held(managers) == set(managers)
    assert RULES.held(managers[:5]) == set()


def test_a_cap_can_be_switched_off() -> None:
    boundless = replace(RULES, sweep_cap=None, manager_cap=None)

    assert boundless.held([MIA] * 1_000) == set()
