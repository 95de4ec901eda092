"""Templates: which there are, and what a mail would say."""

from collections.abc import Mapping
from typing import Any

from delivery_service.http.dependencies import may_see_templates, parts
from delivery_service.http.schemas import ContentView, PreviewBody, TemplateView
from delivery_service.mailing.templates import Content, TemplateKey
from service_chassis.http import Blueprint, Page, allowed

templates = Blueprint("templates", __name__, url_prefix="/api/v1/templates", description="What mails say.")


@templates.route("")
@templates.response(200, TemplateView(many=True))
@allowed(may_see_templates)
def list_templates() -> Page[TemplateKey]:
    """List the templates there are."""
    return Page.whole(parts().templates.keys)


@templates.route("/<code>/preview", methods=["POST"])
@templates.arguments(PreviewBody)
@templates.response(200, ContentView)
@allowed(may_see_templates)
def preview(body: Mapping[str, Any], code: str) -> Content:
    """Return what a mail would say with these variables; nothing is sent."""
    found = parts().templates.find(code, body["language"], body["version"])
    return parts().templates.render(found, body["variables"])
