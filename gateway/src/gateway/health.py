"""How everything behind the gateway is, asked of each service and put together."""

import asyncio
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from gateway.identity import Identity
from gateway.routes import CLEANUP, USER
from gateway.services import NoAnswer, ask
from gateway.upstream import Upstream
from service_chassis.aio import Remembered
from service_chassis.breaker import State

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
NEEDED = frozenset({USER, CLEANUP})
"""Services without which Steward does not serve; others may be missing."""
PATH = "/api/v1/health"
WITHIN = 2.0
REMEMBERED = timedelta(seconds=2)


class Health:
    def __init__(self, upstreams: Collection[Upstream], session: aiohttp.ClientSession, identity: Identity) -> None:
        self._upstreams = upstreams
        self._session = session
        self._identity = identity
        self._report = Remembered(self._examine, lambda _: REMEMBERED)

    async def report(self) -> dict[str, Any]:
        """Return what works and what does not, as it was at most two seconds ago."""
        return await self._report.get()

    async def _examine(self) -> dict[str, Any]:
        found = await asyncio.gather(*map(self._look_at, self._upstreams))
        services = {upstream.name: result for upstream, result in zip(self._upstreams, found, strict=True)}
        checks = self._own_checks()
        return {
            "service": "gateway",
            "status": overall(services, checks),
            "timestamp": datetime.now(UTC),
            "checks": checks,
            "services": services,
        }

    async def _look_at(self, upstream: Upstream) -> dict[str, Any]:
        started = time.perf_counter()
        told: dict[str, Any] = {"breaker": upstream.breaker.state}
        try:
            status, answer = await ask(self._session, upstream.origin + PATH, WITHIN)
        except NoAnswer as error:
            return told | {"status": UNHEALTHY, "problem": error.message}
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        return told | {"status": _status(status, answer), "duration_ms": milliseconds} | _checks(answer)

    def _own_checks(self) -> dict[str, Any]:
        stale = not self._identity.revocations.fresh
        return {
            "keys": _shown(None if self._identity.ready else "There are no keys to verify tokens with."),
            "revocations": _shown("It cannot be told which sessions have ended." if stale else None),
        }


def overall(services: Mapping[str, Mapping[str, Any]], checks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one word: unhealthy when what everything needs cannot serve, degraded when anything else is wrong."""
    cannot_serve = any(services[name]["status"] == UNHEALTHY for name in NEEDED & services.keys())
    if cannot_serve or checks["keys"]["status"] == "down":
        return UNHEALTHY
    troubled = any(found["status"] != HEALTHY or found["breaker"] != State.CLOSED for found in services.values())
    return DEGRADED if troubled or any(check["status"] == "down" for check in checks.values()) else HEALTHY


def _status(status: int, answer: Mapping[str, Any]) -> str:
    data = answer.get("data")
    word = data.get("status") if isinstance(data, dict) else None
    if status != 200 or word == UNHEALTHY:
        return UNHEALTHY
    return DEGRADED if word == DEGRADED else HEALTHY


def _checks(answer: Mapping[str, Any]) -> dict[str, Any]:
    data = answer.get("data")
    return {"checks": data["checks"]} if isinstance(data, dict) and "checks" in data else {}


def _shown(problem: str | None) -> dict[str, Any]:
    return {"status": "down" if problem else "up", "problem": problem}
