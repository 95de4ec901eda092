"""The one form of every answer: five keys, always present. Services and the gateway speak it alike."""

from collections.abc import Mapping
from typing import Any


def success(data: Any, message: str = "OK", meta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the answer to a request that did what it should; `meta` belongs to lists."""
    return {"success": True, "data": data, "error": None, "message": message, "meta": meta}


def failure(code: str, message: str, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the answer to a request that failed; errors by field are in `data.errors`."""
    return {
        "success": False,
        "data": {"errors": dict(fields)} if fields else None,
        "error": code,
        "message": message,
        "meta": None,
    }
