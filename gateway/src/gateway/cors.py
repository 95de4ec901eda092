"""Which pages of other origins may call: asked and answered here, whatever the services think of it."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from gateway.routes import METHODS

ANYBODY = "*"
OWN_HEADERS = "CL-X-EVENT-ID, CL-X-TOKEN, Idempotency-Key, X-Correlation-ID, X-Request-ID, traceparent"
ALLOWED_HEADERS = f"Authorization, Content-Type, X-Requested-With, {OWN_HEADERS}"
EXPOSED_HEADERS = "Idempotency-Replayed, Link, RateLimit, RateLimit-Policy, Retry-After, X-Correlation-ID"
PREFLIGHT_SECONDS = "600"


class Cors:
    def __init__(self, origins: frozenset[str]) -> None:
        """Allow these origins; `*` is everybody, who then calls without the browser's credentials."""
        self._origins = origins
        self._methods = ", ".join(sorted(METHODS))

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer OPTIONS at once; what the origin may do is added to every answer."""
        if request.method != hdrs.METH_OPTIONS:
            return await handler(request)
        response = web.Response(status=204, headers={hdrs.ALLOW: f"{self._methods}, OPTIONS"})
        if self._allows(request.headers.get(hdrs.ORIGIN)):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = self._methods
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ALLOWED_HEADERS
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = PREFLIGHT_SECONDS
        return response

    async def allow(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Tell the browser whether the page may see an answer that is about to leave."""
        if not self._origins:
            return
        if ANYBODY in self._origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = ANYBODY
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin in self._origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS

    def _allows(self, origin: str | None) -> bool:
        return origin is not None and (ANYBODY in self._origins or origin in self._origins)
