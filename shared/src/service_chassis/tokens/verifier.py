"""Access tokens (RFC 9068) as every service verifies them: one algorithm, keys from one place, nothing optional."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import jwt
import msgspec
from jwt.types import Options

from service_chassis.clock import Clock
from service_chassis.tokens.keys import Keys, SharedSecret
from service_chassis.tokens.principal import InvalidToken, Principal, TokenExpired

ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")
TYPE = "at+jwt"
REQUIRED_CLAIMS = ["exp", "iat", "sub", "iss", "aud", "jti", "client_id"]
REFUSED_HEADERS = {"crit", "jku", "jwk", "x5u", "x5c"}
"""Headers by which a token would bring its own key or rules."""
LONGEST_TOKEN = 8192
LONGEST_LEEWAY = timedelta(seconds=60)

Instant = Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000)]


class _Claims(msgspec.Struct, frozen=True):
    sub: UUID
    client_id: Annotated[str, msgspec.Meta(min_length=1)]
    jti: Annotated[str, msgspec.Meta(min_length=1)]
    iat: Instant
    exp: Instant
    kind: Literal["user", "service"]
    nbf: Instant = 0
    role: str | None = None
    sid: UUID | None = None
    scope: str = ""

    def principal(self) -> Principal:
        return Principal(
            subject=self.sub,
            kind=self.kind,
            role=self.role,
            session_id=self.sid,
            client_id=self.client_id,
            token_id=self.jti,
            issued_at=datetime.fromtimestamp(self.iat, UTC),
            expires_at=datetime.fromtimestamp(self.exp, UTC),
            scopes=frozenset(self.scope.split()),
        )


@dataclass(frozen=True, slots=True)
class _Verified:
    kid: object
    principal: Principal


class TokenVerifier:
    """Turns a token into the caller it stands for, or refuses it; remembers what it has verified until it expires."""

    def __init__(
        self,
        keys: Keys,
        *,
        algorithm: str,
        issuer: str,
        audience: str,
        clock: Clock,
        leeway: timedelta = timedelta(seconds=10),
        cache_size: int = 10_000,
    ) -> None:
        """Fix what is accepted; raises ValueError for what must never be."""
        if algorithm not in ALGORITHMS or (algorithm == "HS256") != isinstance(keys, SharedSecret):
            raise ValueError(f"{algorithm} does not go with keys of this kind.")
        if not timedelta(0) <= leeway <= LONGEST_LEEWAY:
            raise ValueError(f"The leeway is at most {LONGEST_LEEWAY.total_seconds():g} seconds.")
        self._keys = keys
        self._algorithm = algorithm
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._leeway = leeway
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str) -> Principal:
        """Return the caller; raises InvalidToken, TokenExpired, or KeysUnavailable where nobody can tell.

        May wait for one fetch of the issuer's keys when the token names a key not seen before.
        """
        return self.cached(token) or self._verified(token)

    def cached(self, token: str) -> Principal | None:
        """Return the caller if this very token has been verified before; never waits, so an event loop may ask.

        Raises TokenExpired.
        """
        digest = _digest(token)
        with self._lock:
            known = self._cache.get(digest)
            if known is not None:
                self._cache.move_to_end(digest)
        # A key that was withdrawn takes the tokens it signed with it.
        if known is None or not self._keys.knows(known.kid):
            return None
        self._refuse_expired(known.principal)
        return known.principal

    def _verified(self, token: str) -> Principal:
        kid = self._accepted_kid(token)
        claims = self._claims(token, self._keys.key(kid))
        principal = claims.principal()
        self._refuse_expired(principal)
        if max(claims.iat, claims.nbf) > (self._clock.now() + self._leeway).timestamp():
            raise InvalidToken("The token is not valid yet.")
        self._remember(_digest(token), _Verified(kid, principal))
        return principal

    def _accepted_kid(self, token: str) -> object:
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidToken from error
        kind = header.get("typ")
        right_kind = isinstance(kind, str) and kind.lower() == TYPE
        if not right_kind or header.get("alg") != self._algorithm or REFUSED_HEADERS & header.keys():
            raise InvalidToken
        return header.get("kid")

    def _claims(self, token: str, key: jwt.PyJWK | bytes) -> _Claims:
        # Times are judged by our clock, not by the library's, which only knows the system's.
        options: Options = {
            "require": REQUIRED_CLAIMS,
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        }
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=[self._algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options=options,
            )
            return msgspec.convert(payload, _Claims)
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise InvalidToken from error

    def _refuse_expired(self, principal: Principal) -> None:
        if principal.expires_at + self._leeway <= self._clock.now():
            raise TokenExpired

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        with self._lock:
            self._cache[digest] = verified
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)


def _digest(token: str) -> bytes:
    """Return what a token is remembered by, so that a dump of the memory gives no usable token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
