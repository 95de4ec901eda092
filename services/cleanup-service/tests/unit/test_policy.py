from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanup_service.config import Settings
from cleanup_service.model.policy import Policy, SafetyBreaker
from service_chassis.settings import SettingsError

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
OFF = SafetyBreaker(users=None, percent=None)
counts = st.integers(0, 1_000_000)


def test_the_cutoff_lies_the_threshold_before_now() -> None:
    policy = Policy(timedelta(days=30), ("admin",), OFF)

    assert policy.cutoff(NOON) == datetime(2029, 12, 16, 12, tzinfo=UTC)
    assert policy.threshold_days == 30


def test_another_threshold_leaves_the_rest_of_the_policy_as_it_is() -> None:
    policy = Policy(timedelta(days=30), ("admin", "manager"), SafetyBreaker(users=5, percent=10))

    other = policy.with_threshold(timedelta(days=90))

    assert (other.threshold_days, other.exempt_roles, other.breaker) == (90, policy.exempt_roles, policy.breaker)
    assert policy.threshold_days == 30


@given(counts, counts)
def test_a_breaker_that_is_off_objects_to_nothing(candidates: int, active: int) -> None:
    assert OFF.objection(candidates, active, None) is None


@pytest.mark.parametrize(("candidates", "objects"), [(0, False), (10, False), (11, True)])
def test_more_users_than_the_limit_need_approval(candidates: int, *, objects: bool) -> None:
    breaker = SafetyBreaker(users=10, percent=None)

    assert (breaker.objection(candidates, 1000, None) == f"{candidates} users, more than 10.") is objects


@pytest.mark.parametrize(("candidates", "objects"), [(0, False), (20, False), (21, True), (100, True)])
def test_a_larger_part_than_the_limit_needs_approval(candidates: int, *, objects: bool) -> None:
    breaker = SafetyBreaker(users=None, percent=20)

    objection = breaker.objection(candidates, 100, None)

    assert (objection == f"{candidates} of 100 active users, more than 20 %.") is objects


def test_an_empty_user_base_needs_no_approval() -> None:
    assert SafetyBreaker(users=1, percent=1).objection(0, 0, None) is None


@given(counts, counts, counts)
def test_who_says_what_to_expect_is_taken_by_the_word(candidates: int, active: int, expected: int) -> None:
    strict = SafetyBreaker(users=1, percent=1)

    objection = strict.objection(candidates, active, expected)

    assert (objection is not None) is (candidates > expected)
    assert OFF.objection(candidates, active, expected) == objection


def test_a_demo_has_no_breaker_and_production_has_one() -> None:
    production = {
        "STEWARD_PROFILE": "production",
        "CLEANUP_SERVICE_SECRET": "a long secret of this installation only",
        "CLEANUP_SERVICE_CLIENT_SECRET": "a long secret that user-service shares",
        "DATABASE_URL": "postgresql://cleanup_service:secret@database/steward",
    }

    assert Settings.read({}).policy == Policy(timedelta(days=30), ("admin",), OFF)
    assert Settings.read(production).policy.breaker == SafetyBreaker(users=10_000, percent=20)


def test_a_policy_that_makes_no_sense_is_refused_with_all_its_mistakes() -> None:
    wrong = {
        "INACTIVITY_THRESHOLD_DAYS": "0",
        "CLEANUP_EXEMPT_ROLES": "admin,owner",
        "CLEANUP_BREAKER_PERCENT": "101",
        "CLEANUP_INTERVAL_SECONDS": "0",
    }

    with pytest.raises(SettingsError) as raised:
        Settings.read(wrong)

    assert sorted(problem.split()[0] for problem in raised.value.problems) == sorted(wrong)
    assert "CLEANUP_EXEMPT_ROLES holds owner, which are no roles." in raised.value.problems
