"""Where a request comes from, and what a browser keeps for it."""

from datetime import timedelta
from ipaddress import ip_address

import flask
from flask import Response, request

from service_chassis import gateway_secret
from service_chassis.gateway_secret import is_gateways
from user_service.http.dependencies import parts
from user_service.model.device import REMEMBERED, Client

REFRESH_COOKIE = "steward_refresh"
DEVICE_COOKIE = "steward_device"
COOKIE_PATH = "/api/v1/auth"
CSRF_HEADER = "X-Requested-With"
"""Pages of other origins cannot send it without being asked for leave first."""
LONGEST_AGENT = 300


def client(device_token: str | None = None) -> Client:
    """Return where the request comes from; a device proves itself in the body or by its cookie."""
    agent = request.headers.get("User-Agent", "").replace("\0", "")[:LONGEST_AGENT]
    return Client(_address(), agent or None, device_token or request.cookies.get(DEVICE_COOKIE))


def remember(refresh_token: str, device_token: str | None, lifetime: timedelta) -> None:
    """Let the browser keep the tokens where no script can read them."""
    flask.after_this_request(lambda response: _set(response, REFRESH_COOKIE, refresh_token, lifetime))
    if device_token is not None:
        flask.after_this_request(lambda response: _set(response, DEVICE_COOKIE, device_token, REMEMBERED))


def remembers() -> bool:
    """Say whether the request comes from a browser that keeps a session's refresh token."""
    return REFRESH_COOKIE in request.cookies


def forget() -> None:
    """Let the browser forget the session; the device stays known."""
    if remembers():
        flask.after_this_request(lambda response: _set(response, REFRESH_COOKIE, "", timedelta(0)))


def refresh_cookie() -> str | None:
    """Return the refresh token the browser keeps, if the page that sent the request is certainly our own."""
    if CSRF_HEADER in request.headers or _is_same_origin():
        return request.cookies.get(REFRESH_COOKIE)
    return None


def _address() -> str | None:
    """Return the client's address as the gateway saw it."""
    return _ip(_forwarded("For", "").rpartition(",")[2].strip()) or request.remote_addr


def _forwarded(what: str, otherwise: str) -> str:
    """Return what the gateway says of a request; anybody else's word counts nothing, wherever it comes from."""
    secret = parts().settings.gateway_secret
    believed = is_gateways(request.headers.get(gateway_secret.HEADER), secret)
    return request.headers.get(f"X-Forwarded-{what}", otherwise) if believed else otherwise


def _ip(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)


def _is_same_origin() -> bool:
    scheme, host = _forwarded("Proto", request.scheme), _forwarded("Host", request.host)
    return request.headers.get("Origin") == f"{scheme}://{host}"


def _set(response: Response, name: str, value: str, lifetime: timedelta) -> Response:
    response.set_cookie(
        name,
        value,
        max_age=lifetime,
        path=COOKIE_PATH,
        secure=not parts().settings.demo,
        httponly=True,
        samesite="Strict",
    )
    return response
