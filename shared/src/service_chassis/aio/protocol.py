"""What the framework says by itself, before a request is one: in the same form as everything else."""

from typing import Self

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from service_chassis import correlation
from service_chassis.aio.answers import BadRequest, HeadersTooLarge, refusal
from service_chassis.errors import ServiceError

SERVER = "steward"
"""What every answer says of its server: neither library nor version."""


class Server(web.Server):
    """Speaks to connections through our protocol class, for which the framework has no setting."""

    @classmethod
    def like(cls, server: web.Server) -> Self:
        """Return a server with everything another one has."""
        made = cls.__new__(cls)
        vars(made).update(vars(server))
        return made

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    """Answers what cannot be parsed in the same form as everything else, without repeating any of it."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        if status >= 500:
            self.log_exception("Error handling a request", exc_info=exc)
        response = refusal(_meaning(status, exc))
        response.headers["X-Correlation-ID"] = correlation.fresh().correlation_id
        response.headers[hdrs.SERVER] = SERVER
        response.headers[hdrs.CONNECTION] = "close"
        response.force_close()
        return response


def _meaning(status: int, error: BaseException | None) -> ServiceError:
    if status >= 500:
        return ServiceError()
    return HeadersTooLarge() if isinstance(error, LineTooLong) else BadRequest()
