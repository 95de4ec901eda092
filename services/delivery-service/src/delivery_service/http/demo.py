"""The mails of a demo, for whoever tries Steward out without a mail server; no other profile has this page."""

from html import escape
from typing import Any

from flask import Response, request

from delivery_service.http.dependencies import parts
from delivery_service.http.schemas import MailView
from service_chassis.http import Blueprint, Page
from service_chassis.http.guard import public

demo = Blueprint("demo", __name__, url_prefix="/demo", description="What only the demo profile has.")

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mails of this demo</title>
<h1>Mails of this demo</h1>
<p>There is no mail server here: these are files, the newest first. Reload to see what has come since.</p>
{mails}
</html>
"""
MAIL = """<article><h2>{subject}</h2><p>To {to}</p><pre>{text}</pre><ul>{links}</ul>
<details><summary>As HTML</summary>
<iframe sandbox srcdoc="{html}" width="100%" height="300"></iframe></details></article>
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@demo.route("/mail")
@demo.response(200, MailView(many=True))
@public
def list_mails() -> Any:
    """List the newest mails: a page for people, data for programs."""
    mails = parts().folder.newest()
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        return Page.whole(mails)
    page = PAGE.format(mails="".join(map(_article, mails)) or "<p>None yet.</p>")
    return Response(page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


def _article(mail: dict[str, Any]) -> str:
    links = "".join(f'<li><a href="{escape(link)}">{escape(link)}</a></li>' for link in mail["links"])
    shown = {key: escape(mail[key]) for key in ("subject", "to", "text", "html")}
    return MAIL.format(**shown, links=links)
