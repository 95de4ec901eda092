from datetime import UTC, datetime
from uuid import uuid4

import pytest

from service_chassis.errors import Forbidden
from service_chassis.permissions import require
from service_chassis.tokens import Principal

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def a_user(role: str) -> Principal:
    return Principal(uuid4(), "user", role, uuid4(), "web", "jti", NOW, NOW, frozenset())


def may_manage_users(caller: Principal) -> bool:
    return caller.role == "admin"


def test_a_caller_with_the_permission_goes_on() -> None:
    require(a_user("admin"), may_manage_users)


def test_a_caller_without_it_is_told_which_permission_is_missing() -> None:
    with pytest.raises(Forbidden, match="may_manage_users") as refusal:
        require(a_user("manager"), may_manage_users)

    assert refusal.value.code == "forbidden"
