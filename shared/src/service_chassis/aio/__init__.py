"""The kit of applications that run on an event loop: answers, observation, verification, draining."""

from service_chassis.aio.answers import HeadersTooLarge, MethodNotAllowed, json_answer, refusal
from service_chassis.aio.observation import ROUTE, Observation, ids_of
from service_chassis.aio.protocol import SERVER
from service_chassis.aio.remembered import Remembered
from service_chassis.aio.runner import DrainingRunner, Flow
from service_chassis.aio.verification import KeysAtHand, LoopVerifier

__all__ = [
    "ROUTE",
    "SERVER",
    "DrainingRunner",
    "Flow",
    "HeadersTooLarge",
    "KeysAtHand",
    "LoopVerifier",
    "MethodNotAllowed",
    "Observation",
    "Remembered",
    "ids_of",
    "json_answer",
    "refusal",
]
