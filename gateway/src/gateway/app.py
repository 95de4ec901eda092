"""The application: own paths first, everything else through the table to a service."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway import headers
from gateway.access import Guard
from gateway.config import Settings
from gateway.cors import Cors
from gateway.forwarding import Forwarder
from gateway.health import Health
from gateway.identity import Identity
from gateway.openapi import Description
from gateway.operations import Operations
from gateway.routing import RouteTable, Target
from gateway.throttle import Throttle
from gateway.upstream import Upstream, connections
from service_chassis.aio import ROUTE, Flow, Observation

IDLE_CLIENT = 75.0
"""Seconds a client's connection may be idle, or its headers incomplete; balancers in front close theirs after 60."""
SERVER = "steward"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of; it lives as long as the process and knows no event loop."""

    settings: Settings
    registry: CollectorRegistry
    observation: Observation
    flow: Flow
    identity: Identity
    upstreams: Mapping[str, Upstream]
    table: RouteTable


def make_app(parts: Parts) -> web.Application:
    """Return the application, for one event loop."""
    cors = Cors(parts.settings.cors_origins)
    app = web.Application(
        middlewares=[parts.observation.middleware, parts.flow.middleware, cors.middleware],
        handler_args={
            "access_log": None,
            "auto_decompress": False,
            "handler_cancellation": True,
            "keepalive_timeout": IDLE_CLIENT,
            "max_line_size": headers.LARGEST - 2,
            "max_field_size": headers.LARGEST - 2,
        },
    )
    app.on_response_prepare.extend([parts.observation.name_ids, parts.flow.say_goodbye, cors.allow, _name_server])
    app.cleanup_ctx.append(_Running(parts))
    return app
