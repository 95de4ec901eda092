"""Notifications: asking for one, following it, and saying what became of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from service_chassis.http import Blueprint, Page, Paging, allowed, caller
from user_service.http import origin
from user_service.http.dependencies import may_notify_others, may_report_deliveries, parts, uow
from user_service.http.notification_schemas import NotificationBody, NotificationQuery, NotificationView, ReportBody
from user_service.model.errors import MayNotNotify, NotificationNotFound
from user_service.model.notification import Channel, Notification, Report
from user_service.persistence.notifications import NotificationFilter
from user_service.usecases import notifications as use_case
from user_service.usecases.notifications import Wanted
from user_service.usecases.throttling import UNLIMITED, Attempt

notifications = Blueprint("notifications", __name__, url_prefix="/api/v1", description="Telling people something.")


@notifications.route("/notifications", methods=["POST"])
@notifications.arguments(NotificationBody)
@notifications.response(202, NotificationView, description="Notification accepted")
def request(wanted: Wanted) -> Notification:
    """Have a user notified, if the user wants that and can be reached; everybody may notify oneself."""
    if wanted.user_id != caller().subject and not may_notify_others(caller()):
        raise MayNotNotify
    return use_case.request_from_outside(uow(), wanted, _attempt(wanted))


@notifications.route("/notifications")
@notifications.arguments(NotificationQuery, location="query")
@notifications.response(200, NotificationView(many=True))
def list_notifications(query: tuple[Paging, NotificationFilter]) -> Page[Notification]:
    """List notifications, newest first; who may notify nobody else sees the own ones."""
    paging, chosen = query
    if not may_notify_others(caller()):
        chosen = replace(chosen, user_id=caller().subject)
    return uow().notifications.page(chosen, paging)


@notifications.route("/notifications/<uuid:notification_id>")
@notifications.response(200, NotificationView)
def get_notification(notification_id: UUID) -> Notification:
    """Return a notification and how far it is."""
    notification = uow().notifications.get(notification_id)
    if notification.user_id != caller().subject and not may_notify_others(caller()):
        raise NotificationNotFound
    return notification


@notifications.route("/email/status", methods=["POST"])
@notifications.arguments(ReportBody)
@notifications.response(200, NotificationView, description="Status noted")
@allowed(may_report_deliveries)
def report_email(body: Mapping[str, Any]) -> Notification:
    """Say what became of an e-mail."""
    return _report(Channel.EMAIL, body)


@notifications.route("/push/status", methods=["POST"])
@notifications.arguments(ReportBody)
@notifications.response(200, NotificationView, description="Status noted")
@allowed(may_report_deliveries)
def report_push(body: Mapping[str, Any]) -> Notification:
    """Say what became of a push message."""
    return _report(Channel.PUSH, body)


def _attempt(wanted: Wanted) -> Attempt:
    """Return what a request is counted under; services are not slowed down."""
    if caller().kind == "service":
        return UNLIMITED
    return parts().attempts.of_notification(wanted.user_id, origin.client(), by=caller().subject)


def _report(channel: Channel, body: Mapping[str, Any]) -> Notification:
    return use_case.report(uow(), channel, body["notification_id"], Report(body["status"]), body["error"])
