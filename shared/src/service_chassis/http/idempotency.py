"""Writes that may be repeated: under one key they happen once, and every repeat gets the first answer."""

import re

from flask import Response, current_app, g, request

from service_chassis.errors import Invalid
from service_chassis.http.answer_store import Claim, StoredAnswer
from service_chassis.http.kit import kit
from service_chassis.http.marks import SAFE, View, marked, marks_of_request

HEADERS = ("Idempotency-Key", "X-Request-ID")
"""Names of one thing. The first wins, because proxies add the second by themselves."""
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r"[!-~]{1,255}")
KEY_PARAMETER = {
    "in": "header",
    "name": HEADERS[0],
    "description": f"Repeats under the same key get the first answer for 24 hours. `{HEADERS[1]}` means the same.",
    "schema": {"type": "string", "pattern": f"^{KEY.pattern}$"},
}


class InvalidKey(Invalid):
    """An idempotency key has 1 to 255 visible ASCII characters."""

    code = "invalid_idempotency_key"


def takes_no_key(view: View) -> View:
    """Let every call of the view have its effect: for what may not be answered from memory, such as a sign-in."""
    return marked(view, takes_key=False)


def check_key() -> None:
    """Refuse a key that is none; raises InvalidKey."""
    key = _key()
    if key is not None and not KEY.fullmatch(key):
        raise InvalidKey


def claim_of_request() -> Claim | None:
    """Return the request's claim to the key it names, if it names one."""
    key = _key()
    if key is None:
        return None
    principal = g.get("principal")
    who = principal.subject if principal else "anybody"
    fingerprint = kit().answers.fingerprint(request.query_string + b"\n" + request.get_data(cache=True))
    return Claim(f"{who} {request.method} {request.path.rstrip('/')}", key, fingerprint)


def to_store(response: Response) -> StoredAnswer:
    """Return an answer as it is kept; its length is counted anew when it is given again."""
    headers = [(name, value) for name, value in response.headers.items() if name != "Content-Length"]
    return StoredAnswer(response.status_code, headers, response.get_data())


def replayed(answer: StoredAnswer) -> Response:
    """Return a kept answer, marked as such."""
    response = current_app.response_class(answer.body, answer.status, answer.headers)
    response.headers[REPLAYED] = "true"
    return response


def _key() -> str | None:
    if request.method in SAFE or not marks_of_request().takes_key:
        return None
    return next((request.headers[name] for name in HEADERS if name in request.headers), None)
