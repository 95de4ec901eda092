"""Sessions: sign in, stay signed in, sign out; and what verifiers need to judge tokens."""

from collections.abc import Mapping
from typing import Any

from service_chassis.http import Blueprint, caller, public, takes_no_key
from user_service.http.dependencies import parts, uow
from user_service.http.schemas import LoginBody, RefreshBody, TokensView
from user_service.usecases import sign_in
from user_service.usecases.tokens import TokenPair

auth = Blueprint("auth", __name__, url_prefix="/api/v1/auth", description="Sessions and their tokens.")


@auth.route("/login", methods=["POST"])
@auth.arguments(LoginBody)
@auth.response(200, TokensView, description="Signed in")
@public
@takes_no_key
def login(body: Mapping[str, Any]) -> TokenPair:
    """Sign in with e-mail address and password."""
    return parts().sign_in(body["email"], body["password"])


@auth.route("/refresh", methods=["POST"])
@auth.arguments(RefreshBody)
@auth.response(200, TokensView, description="Refreshed")
@public
@takes_no_key
def refresh(body: Mapping[str, Any]) -> TokenPair:
    """Exchange a refresh token for a new access token and the next refresh token."""
    parts().tokens.keys.at_hand()
    return sign_in.refresh(uow(), body["refresh_token"], parts().tokens)


@auth.route("/logout", methods=["POST"])
@auth.response(200, description="Signed out")
@takes_no_key
def logout() -> None:
    """End the session of the token the request comes with."""
    session_id = caller().session_id
    if session_id is not None:
        sign_in.sign_out(uow(), session_id, tokens_live=parts().settings.access_token_lifetime)
