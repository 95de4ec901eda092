"""Signing in, staying signed in, signing out; tokens for people, scripts and services."""

from collections.abc import Mapping
from typing import Any

from service_chassis.http import Blueprint, caller, public, takes_no_key
from user_service.http import origin
from user_service.http.auth_schemas import (
    AccessTokenView,
    ClientBody,
    LoginBody,
    OpaqueLoginBody,
    OpaqueTokenView,
    RefreshBody,
    TokensView,
)
from user_service.http.dependencies import parts, uow
from user_service.usecases import service_clients, sign_in
from user_service.usecases.opaque_tokens import OpaqueToken
from user_service.usecases.tokens import AccessToken, TokenPair

auth = Blueprint("auth", __name__, url_prefix="/api/v1/auth", description="Signing in and staying signed in.")


@auth.route("/login", methods=["POST"])
@auth.arguments(LoginBody)
@auth.response(200, TokensView, description="Signed in")
@public
@takes_no_key
def login(body: Mapping[str, Any]) -> Any:
    """Sign in with e-mail address or username, and password."""
    tokens = parts().sign_in(body["account"], body["password"], origin.client(body["device_token"]))
    return kept_in_cookies(tokens) if body["cookies"] else tokens


@auth.route("/opaque-token", methods=["POST"])
@auth.arguments(OpaqueLoginBody)
@auth.response(201, OpaqueTokenView, description="Signed in")
@public
@takes_no_key
def opaque_login(body: Mapping[str, Any]) -> OpaqueToken:
    """Sign in for one long-lived token, which goes into the header `Authorization: Token ...`."""
    return parts().sign_in.for_opaque_token(body["account"], body["password"], origin.client(body["device_token"]))


@auth.route("/refresh", methods=["POST"])
@auth.arguments(RefreshBody)
@auth.response(200, TokensView, description="Refreshed")
@public
@takes_no_key
def refresh(body: Mapping[str, Any]) -> Any:
    """Exchange a refresh token for a new access token and the next refresh token.

    For 10 seconds the used refresh token yields the same successor again, so that parallel requests do not sign a
    client out; used later it ends the session. A browser that signed in with cookies sends none, but the header
    `X-Requested-With`.
    """
    parts().tokens.keys.at_hand()
    given = body["refresh_token"]
    tokens = sign_in.refresh(uow(), given or origin.refresh_cookie() or "", parts().tokens)
    return tokens if given else kept_in_cookies(tokens)


@auth.route("/logout", methods=["POST"])
@auth.response(200, description="Signed out")
@takes_no_key
def logout() -> None:
    """End the session of the token the request comes with."""
    origin.forget()
    session_id = caller().session_id
    if session_id is not None:
        sign_in.sign_out(uow(), session_id, tokens_live=parts().settings.access_token_lifetime)


@auth.route("/token", methods=["POST"])
@auth.arguments(ClientBody)
@auth.response(200, AccessTokenView, description="Token granted")
@public
@takes_no_key
def grant(body: Mapping[str, Any]) -> AccessToken:
    """Get a token for a service that calls in its own name."""
    parts().tokens.keys.at_hand()
    return service_clients.grant(
        uow(),
        body["client_id"],
        body["client_secret"],
        origin.client(),
        attempts=parts().attempts,
        tokens=parts().tokens,
    )


def kept_in_cookies(tokens: TokenPair) -> dict[str, Any]:
    """Return tokens as a browser's page gets them: what lives long is out of its sight."""
    origin.remember(tokens.refresh_token, tokens.device_token, parts().settings.refresh_token_lifetime)
    visible = {name: getattr(tokens, name) for name in TokensView().fields}
    return visible | {"refresh_token": None, "device_token": None}
