"""Filters over a JSON payload: an object of the same shape, whose leaves are values or operators.

    {"status": "paid", "total": {"$gte": 100}, "customer": {"country": {"$in": ["DE", "AT"]}}}

Every member must match. `$or` and `$and` hold lists of filters, `$not` one.
"""

from collections.abc import Callable, Mapping
from typing import Any

from delivery_service.model.errors import SubscriptionInvalid

DEEPEST = 10
MOST_NODES = 200

_MISSING = object()


def matches(wanted: Any, value: Any) -> bool:
    """Say whether a value meets a filter, which `check` has accepted."""
    if not isinstance(wanted, Mapping):
        return _equal(value, wanted)
    return all(_member_matches(key, operand, value) for key, operand in wanted.items())


def check(wanted: Any) -> None:
    """Raise SubscriptionInvalid for a filter that cannot be meant."""
    if not isinstance(wanted, Mapping):
        raise _fault("A filter is an object.")
    if _nodes(wanted, DEEPEST) > MOST_NODES:
        raise _fault(f"A filter has up to {MOST_NODES} parts.")
    _check_members(wanted)


def _member_matches(key: str, operand: Any, value: Any) -> bool:
    if key in OPERATORS:
        return OPERATORS[key](value, operand)
    member = value.get(key, _MISSING) if isinstance(value, Mapping) else _MISSING
    return matches(operand, member)


def _equal(value: Any, operand: Any) -> bool:
    # In Python True equals 1, in JSON it does not.
    return isinstance(value, bool) == isinstance(operand, bool) and bool(value == operand)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compare numbers with numbers and text with text; nothing else has an order."""

    def compared(value: Any, operand: Any) -> bool:
        for kind in ((int, float), str):
            if isinstance(value, kind) and isinstance(operand, kind):
                return not isinstance(value, bool) and not isinstance(operand, bool) and compare(value, operand)
        return False

    return compared


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, operand: isinstance(value, str) and test(value, operand)


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": _equal,
    "$neq": lambda value, operand: not _equal(value, operand),
    "$gt": _ordered(lambda value, operand: value > operand),
    "$gte": _ordered(lambda value, operand: value >= operand),
    "$lt": _ordered(lambda value, operand: value < operand),
    "$lte": _ordered(lambda value, operand: value <= operand),
    "$in": lambda value, operand: any(_equal(value, one) for one in operand),
    "$nin": lambda value, operand: not any(_equal(value, one) for one in operand),
    "$starts_with": _text(str.startswith),
    "$ends_with": _text(str.endswith),
    "$exists": lambda value, operand: (value is not _MISSING) is operand,
    "$or": lambda value, operand: any(matches(one, value) for one in operand),
    "$and": lambda value, operand: all(matches(one, value) for one in operand),
    "$not": lambda value, operand: not matches(operand, value),
}
_SCALAR = (str, int, float, bool, type(None))
_OPERANDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("$eq", "$neq"), _SCALAR),
    **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), (int, float, str)),
    **dict.fromkeys(("$in", "$nin", "$or", "$and"), (list,)),
    **dict.fromkeys(("$starts_with", "$ends_with"), (str,)),
    "$exists": (bool,),
    "$not": (dict,),
}


def _check_members(wanted: Mapping[str, Any]) -> None:
    for key, operand in wanted.items():
        if key.startswith("$"):
            _check_operand(key, operand)
        elif isinstance(operand, Mapping):
            _check_members(operand)
        elif not isinstance(operand, _SCALAR):
            raise _fault(f"{key}: a value or an object; of several values, $in.")


def _check_operand(key: str, operand: Any) -> None:
    if key not in OPERATORS:
        raise _fault(f"{key}: there is no such operator; there are {', '.join(OPERATORS)}.")
    if not any(isinstance(operand, kind) for kind in _OPERANDS[key]):
        raise _fault(f"{key}: not a value this operator takes.")
    if key in {"$or", "$and"} and not (operand and all(isinstance(one, Mapping) for one in operand)):
        raise _fault(f"{key}: a list of filters.")
    if key in {"$or", "$and"}:
        for one in operand:
            _check_members(one)
    elif key == "$not":
        _check_members(operand)


def _nodes(part: Any, deeper: int) -> int:
    if deeper < 0:
        raise _fault(f"A filter is up to {DEEPEST} levels deep.")
    if isinstance(part, Mapping):
        return 1 + sum(_nodes(one, deeper - 1) for one in part.values())
    return 1 + sum(_nodes(one, deeper - 1) for one in part) if isinstance(part, list) else 1


def _fault(text: str) -> SubscriptionInvalid:
    return SubscriptionInvalid(fields={"filter": [text]})
