"""Alerts: what managers should look at, and what they have looked at."""

from collections.abc import Mapping
from typing import Any

from service_chassis.http import Blueprint, Page, Paging, allowed, caller
from task_service.http.dependencies import may_see_alerts, uow
from task_service.http.schemas import AlertQuery, AlertView, ReadBody, ReadView
from task_service.persistence.alerts import AlertFilter

alerts = Blueprint("alerts", __name__, url_prefix="/api/v1/tasks/alerts", description="What managers should look at.")


@alerts.route("")
@alerts.arguments(AlertQuery, location="query")
@alerts.response(200, AlertView(many=True))
@allowed(may_see_alerts)
def list_alerts(query: tuple[Paging, AlertFilter]) -> Page[Any]:
    """List alerts, newest first: tasks that were missed, are due soon, or whose assignee is away."""
    paging, chosen = query
    return uow().alerts.page(caller().subject, chosen, paging)


@alerts.route("/read", methods=["POST"])
@alerts.arguments(ReadBody)
@alerts.response(200, ReadView, description="Alerts read")
@allowed(may_see_alerts)
def read_alerts(body: Mapping[str, Any]) -> dict[str, int]:
    """Note that the caller has read these alerts; each manager does for themselves."""
    return {"read": uow().alerts.read(caller().subject, sorted(set(body["ids"])), uow().now)}
