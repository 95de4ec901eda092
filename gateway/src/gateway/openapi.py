"""One description of everything the gateway offers, put together from what the services say of themselves."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp

from gateway.routes import METHODS
from gateway.routing import RouteTable, Target
from gateway.services import NoAnswer, ask
from gateway.upstream import Upstream
from service_chassis.aio import MethodNotAllowed, Remembered
from service_chassis.errors import NotFound

Spec = dict[str, Any]

WITHIN = 5.0
WHOLE_FOR = timedelta(minutes=5)
PARTIAL_FOR = timedelta(seconds=5)
COMPONENTS = "#/components/"


@dataclass(frozen=True, slots=True)
class Merged:
    spec: Spec
    whole: bool
    """Whether every service has answered."""


class Description:
    def __init__(self, upstreams: Collection[Upstream], session: aiohttp.ClientSession, table: RouteTable) -> None:
        self._upstreams = upstreams
        self._session = session
        self._table = table
        self._known: dict[str, Spec] = {}
        self._merged = Remembered(self._merge, lambda merged: WHOLE_FOR if merged.whole else PARTIAL_FOR)

    async def spec(self) -> Spec:
        """Return the merged OpenAPI document; a service that is away is described as it was when last seen."""
        return (await self._merged.get()).spec

    async def _merge(self) -> Merged:
        answered = await asyncio.gather(*map(self._fetch, self._upstreams))
        return Merged(merged(self._known, self._table), all(answered))

    async def _fetch(self, upstream: Upstream) -> bool:
        try:
            status, spec = await ask(self._session, f"{upstream.origin}/openapi.json", WITHIN)
        except NoAnswer:
            return False
        if status == 200:
            self._known[upstream.name] = spec
        return status == 200


def merged(specs: Mapping[str, Spec], table: RouteTable) -> Spec:
    """Return one document of several, with the gateway's paths and each service's components under its own name."""
    paths: Spec = {}
    components: dict[str, Spec] = {}
    for service, spec in sorted(specs.items()):
        prefix = service.removesuffix("-service").capitalize()
        own = _Renamed(prefix).of(spec)
        paths |= {path: item for path, item in _operations(own) if _belongs(path, service, table)}
        for section, entries in own.get("components", {}).items():
            components.setdefault(section, {}).update({f"{prefix}{name}": entry for name, entry in entries.items()})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Steward", "version": "v1"},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": components,
    }


def _belongs(path: str, service: str, table: RouteTable) -> bool:
    """Say whether the gateway sends this path to this service."""
    path = path.removesuffix("/")
    target = Target(tuple(path[1:].split("/")), path)
    for method in METHODS:
        try:
            return table.find(method, target).service == service
        except MethodNotAllowed:
            continue
        except NotFound:
            return False
    return False


def _operations(spec: Spec) -> list[tuple[str, Spec]]:
    """Return the paths; what a document says once about its security is said in each operation instead."""
    security = spec.get("security")
    return [
        (path, {key: _secured(value, security) if key.upper() in METHODS else value for key, value in item.items()})
        for path, item in spec.get("paths", {}).items()
    ]


def _secured(operation: Spec, security: Any) -> Spec:
    return operation if security is None or "security" in operation else {**operation, "security": security}


class _Renamed:
    """A document whose references and operations carry a prefix, so that they stay apart from those of others."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def of(self, node: Any, key: str | None = None) -> Any:
        match node:
            case dict():
                return {name: self.of(value, name) for name, value in node.items()}
            case list() if key == "security":
                return [{f"{self._prefix}{name}": scopes for name, scopes in entry.items()} for entry in node]
            case list():
                return [self.of(value) for value in node]
            case str() if node.startswith(COMPONENTS):
                return self._reference(node)
            case str() if key == "operationId":
                return f"{self._prefix}{node}"
            case _:
                return node

    def _reference(self, reference: str) -> str:
        section, _, name = reference.removeprefix(COMPONENTS).partition("/")
        return f"{COMPONENTS}{section}/{self._prefix}{name}"
