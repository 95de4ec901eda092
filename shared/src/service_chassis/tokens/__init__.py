"""Verification of access tokens. Signing is not here: whoever verifies must not be able to mint."""

from service_chassis.tokens.keys import Keys, KeySet, SharedSecret
from service_chassis.tokens.principal import InvalidToken, KeysUnavailable, Principal, TokenExpired
from service_chassis.tokens.verifier import LONGEST_LEEWAY, TokenVerifier

__all__ = [
    "LONGEST_LEEWAY",
    "InvalidToken",
    "KeySet",
    "Keys",
    "KeysUnavailable",
    "Principal",
    "SharedSecret",
    "TokenExpired",
    "TokenVerifier",
]
