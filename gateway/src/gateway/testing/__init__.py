"""What tests put the gateway between: an issuer, services that do as they are told, a client that hides nothing."""

from gateway.testing.client import Answer, Client
from gateway.testing.issuer import Issuer, SigningKey
from gateway.testing.loop import LoopThread
from gateway.testing.running import RunningGateway
from gateway.testing.services import StubService, UserService

__all__ = [
    "Answer",
    "Client",
    "Issuer",
    "LoopThread",
    "RunningGateway",
    "SigningKey",
    "StubService",
    "UserService",
]
