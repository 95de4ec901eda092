"""Calls from service to service.

Every foreign error becomes one of ours: UpstreamUnavailable when the other service does not answer as it should,
UpstreamRefused when it answers that it will not.
"""

from service_chassis.clients.credentials import ClientCredentials
from service_chassis.clients.read_through import ReadThrough
from service_chassis.clients.service import Data, ServiceClient, UpstreamRefused
from service_chassis.clients.transport import Answer, ConnectionLost, Pool, Request, Transport, UpstreamUnavailable

__all__ = [
    "Answer",
    "ClientCredentials",
    "ConnectionLost",
    "Data",
    "Pool",
    "ReadThrough",
    "Request",
    "ServiceClient",
    "Transport",
    "UpstreamRefused",
    "UpstreamUnavailable",
]
