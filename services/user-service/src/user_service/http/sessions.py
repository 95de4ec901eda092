"""The sessions a user has, and how to end them."""

from typing import Any
from uuid import UUID

from service_chassis.http import Blueprint, Page, PageQuery, Paging, caller
from user_service.http.auth_schemas import EndedView, SessionView
from user_service.http.dependencies import parts, uow
from user_service.model.session import Session
from user_service.usecases import sessions as use_cases

sessions = Blueprint("sessions", __name__, url_prefix="/api/v1/auth/sessions", description="Where one is signed in.")


@sessions.route("")
@sessions.arguments(PageQuery, location="query")
@sessions.response(200, SessionView(many=True))
def list_sessions(paging: Paging) -> Page[Session]:
    """List the caller's live sessions, newest first."""
    return uow().sessions.page(caller().subject, paging, at=uow().now)


@sessions.route("/<uuid:session_id>", methods=["DELETE"])
@sessions.response(200, description="Session ended")
def end_session(session_id: UUID) -> None:
    """End one of the caller's sessions."""
    tokens_live = parts().settings.access_token_lifetime
    use_cases.end(uow(), session_id, of=caller().subject, tokens_live=tokens_live)


@sessions.route("", methods=["DELETE"])
@sessions.response(200, EndedView, description="Other sessions ended")
def end_other_sessions() -> dict[str, Any]:
    """End all of the caller's sessions but the one that asks."""
    tokens_live = parts().settings.access_token_lifetime
    return {"ended": use_cases.end_others(uow(), caller().subject, caller().session_id, tokens_live=tokens_live)}
