"""What the web chat answers when a request is wrong: a status, a sentence and the field to look at."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from aiohttp import web
from aiohttp.http import HttpProcessingError
from pydantic import ValidationError

Self = TypeVar("Self")
Method = Callable[[Self, web.Request], Awaitable[web.StreamResponse]]


class Fault(Exception):
    """The request cannot be served. status: 4xx. field: the part of the request that is wrong, or ""."""

    def __init__(self, status: int, error: str, field: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.field = field


def answering(method: Method[Self]) -> Method[Self]:
    """Turns a Fault, aiohttp's own refusals, and a body that cannot be taken apart, into
    `{"error": ..., "field": ...}`."""

    @wraps(method)
    async def answer(self: Self, request: web.Request) -> web.StreamResponse:
        try:
            return await method(self, request)
        except Fault as fault:
            return web.json_response({"error": fault.error, "field": fault.field}, status=fault.status)
        except (web.RequestPayloadError, HttpProcessingError):  # its compression, or a header of a form's part
            return web.json_response({"error": "the body cannot be read", "field": ""}, status=400)
        except web.HTTPClientError as refused:
            return web.json_response({"error": refused.reason, "field": ""}, status=refused.status)

    return answer


def first_fault(error: ValidationError) -> Fault:
    """The first thing a model did not like; never repeats the value."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return Fault(400, fault["msg"], ".".join(str(part) for part in fault["loc"]))
