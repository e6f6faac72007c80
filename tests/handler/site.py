"""A site whose view each test sets, and the messages that are run through it."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path

from channels_classic import handler
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import ChannelFull
from channels_classic.handler import AsgiRequest
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message

REPLY = "server.reply.abc!1"
INBOX = "server.reply.abc!"
BODY = "http.request.body?abc"

# The site: its views call what the test has put in ``view`` -----------------------------------

view: Any = None


def run_view(request: HttpRequest) -> Any:
    return view(request)


async def run_async_view(request: HttpRequest) -> Any:
    return await view(request)


urlpatterns = [
    path("", run_view, name="root"),
    path("async/", run_async_view),
    path("page/", run_view, name="page"),
]


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"hello")


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("broken view")


def failing_error_page(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the error page is broken too")


class ReplaceResponse:
    """Middleware that answers something else than it was given."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.get_response(request)
        return HttpResponse(b"replaced")


class NoteExceptions:
    """Middleware that notes the exceptions it is shown."""

    seen: list[Exception] = []  # noqa: RUF012

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        self.seen.append(exception)


class AnswerLater:
    """Middleware that leaves the answer of each view to other code, before the view runs."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_view(self, request: AsgiRequest, *args: Any) -> None:
        raise request.ResponseLater


# Messages -------------------------------------------------------------------------------------


def message(layer: InMemoryChannelLayer | None = None, **content: Any) -> Message:
    """An ``http.request`` message: a GET of ``/`` unless ``content`` says else."""
    wrapper = ChannelLayerWrapper(layer or InMemoryChannelLayer(), "default", [])
    defaults = {
        "reply_channel": REPLY,
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "body": b"",
    }
    return Message({**defaults, **content}, "http.request", wrapper)


def chunked(layer: InMemoryChannelLayer, *chunks: dict[str, Any], **content: Any) -> Message:
    """A POST whose body goes on with ``chunks``, which are waiting already."""
    for chunk in chunks:
        layer.send(BODY, chunk)
    return message(layer, **{"method": "POST", "body_channel": BODY, **content})


def request(**content: Any) -> AsgiRequest:
    return AsgiRequest(message(**content))


def body_of(replies: list[dict[str, Any]]) -> bytes:
    return b"".join(reply.get("content", b"") for reply in replies)


# Doubles --------------------------------------------------------------------------------------


class Clock:
    """Time that passes only when somebody sleeps, in the place of ``time`` in the handler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(handler, "time", self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class ReplyChannel:
    """A reply channel that is full while ``full()`` is true."""

    name = REPLY

    def __init__(self, full: Any = lambda: False) -> None:
        self.full = full
        self.sent: list[tuple[dict[str, Any], bool]] = []

    def send(self, content: dict[str, Any], immediately: bool = False) -> None:
        if self.full():
            raise ChannelFull
        self.sent.append((content, immediately))
