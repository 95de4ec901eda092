"""What views reach for, typed."""

from typing import cast

from delivery_service.parts import Parts
from service_chassis import http
from service_chassis.tokens import Principal


def parts() -> Parts:
    return cast("Parts", http.parts())


def may_see_templates(caller: Principal) -> bool:
    return caller.role in {"admin", "manager"}
