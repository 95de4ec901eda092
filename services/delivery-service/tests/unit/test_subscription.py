from typing import Any

import pytest

from delivery_service.model.errors import SubscriptionInvalid
from delivery_service.model.subscription import Subscription, is_deliverable


@pytest.mark.parametrize(
    ("pattern", "event_type", "wanted"),
    [
        ("*", "task.missed.v1", True),
        ("*", "data.received", True),
        ("task.*", "task.missed.v1", True),
        ("task.*", "task.status_changed.v2", True),
        ("task.*", "tasks.missed.v1", False),
        ("task.*", "task", False),
        ("task.missed", "task.missed.v1", True),
        ("task.missed", "task.missed.v12", True),
        ("task.missed", "task.missed_more.v1", False),
        ("task.missed.v1", "task.missed.v1", True),
        ("task.missed.v1", "task.missed.v2", False),
        ("task", "task.missed.v1", False),
    ],
)
def test_types_are_matched_by_pattern(pattern: str, event_type: str, *, wanted: bool) -> None:
    assert Subscription([pattern]).wants_type(event_type) is wanted


def test_one_of_several_patterns_is_enough() -> None:
    subscription = Subscription(["user.*", "task.missed"])

    assert subscription.wants("task.missed.v1", {})
    assert not subscription.wants("task.assigned.v1", {})


@pytest.mark.parametrize(
    "patterns", [[], [""], ["**"], ["*.missed"], ["task.*.v1"], ["Task.Missed"], ["a b"], ["a"] * 51]
)
def test_a_pattern_that_is_none_is_refused(patterns: list[str]) -> None:
    with pytest.raises(SubscriptionInvalid) as refusal:
        Subscription(patterns).check()

    assert list(refusal.value.fields) == ["event_types"]


PAYLOAD = {"status": "paid", "total": 120.5, "customer": {"country": "DE", "vip": True, "age": None}, "tags": ["a"]}


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"status": "paid"}, True),
        ({"status": "open"}, False),
        ({"status": "paid", "total": 1}, False),
        ({"missing": None}, False),
        ({"customer": {"age": None}}, True),
        ({"customer": {"country": "DE", "vip": True}}, True),
        ({"customer": {"vip": 1}}, False),
        ({"customer": "DE"}, False),
        ({"status": {"length": 4}}, False),
        ({"total": {"$gt": 120, "$lt": 121}}, True),
        ({"total": {"$gte": 120.5, "$lte": 120.5}}, True),
        ({"total": {"$gt": "1"}}, False),
        ({"customer": {"vip": {"$gt": 0}}}, False),
        ({"status": {"$gt": "open"}}, True),
        ({"status": {"$in": ["open", "paid"]}}, True),
        ({"status": {"$nin": ["open", "paid"]}}, False),
        ({"missing": {"$nin": ["a"]}}, True),
        ({"status": {"$eq": "paid"}}, True),
        ({"status": {"$neq": "paid"}}, False),
        ({"missing": {"$neq": "paid"}}, True),
        ({"status": {"$starts_with": "pa", "$ends_with": "id"}}, True),
        ({"total": {"$starts_with": "1"}}, False),
        ({"customer": {"age": {"$exists": True}}}, True),
        ({"missing": {"$exists": False}}, True),
        ({"missing": {"deeper": {"$exists": False}}}, True),
        ({"$or": [{"status": "open"}, {"total": {"$gt": 100}}]}, True),
        ({"$and": [{"status": "paid"}, {"total": {"$gt": 1000}}]}, False),
        ({"$not": {"status": "open"}}, True),
        ({"total": {"$not": {"$gt": 100}}}, False),
    ],
)
def test_payloads_are_matched_by_filter(wanted: dict[str, Any], *, matches: bool) -> None:
    subscription = Subscription(payload_filter=wanted)
    subscription.check()

    assert subscription.wants("data.received", PAYLOAD) is matches


def test_a_payload_that_is_no_object_matches_no_filter_but_the_empty_one() -> None:
    assert Subscription().wants("data.received", [1])
    assert not Subscription(payload_filter={"a": 1}).wants("data.received", [1])


DEEP: dict[str, Any] = {}
for _ in range(12):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "wanted",
    [
        {"a": {"$regex": "x"}},
        {"a": [1]},
        {"a": {"$in": "x"}},
        {"a": {"$gt": None}},
        {"a": {"$exists": "yes"}},
        {"a": {"$starts_with": 1}},
        {"$or": []},
        {"$or": [1]},
        {"$and": [{"$no": 1}]},
        {"$not": {"$no": 1}},
        {"$not": "x"},
        DEEP,
        {str(number): 1 for number in range(201)},
    ],
    ids=str,
)
def test_a_filter_that_cannot_be_meant_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(SubscriptionInvalid) as refusal:
        Subscription(payload_filter=wanted).check()

    assert list(refusal.value.fields) == ["filter"]


def test_events_about_deliveries_are_never_delivered() -> None:
    for event_type in ("delivery.succeeded.v1", "destination.disabled.v1", "notification.ready.v1"):
        assert not is_deliverable(event_type)
    assert is_deliverable("task.missed.v1")
