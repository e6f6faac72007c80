"""A message through Django's views: ``AsgiRequest``, ``AsgiHandler`` and ``ViewConsumer``."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from functools import wraps
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import handle_uncaught_exception
from django.core.signals import request_finished, request_started
from django.db import connections
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseServerError,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.urls import URLResolver, get_resolver, set_script_prefix

from channels_classic.exceptions import ChannelFull, RequestAborted, RequestTimeout, ResponseLater
from channels_classic.scope import Headers, http_scope

if TYPE_CHECKING:
    from channels_classic.channel import Channel
    from channels_classic.layers.traffic import Content
    from channels_classic.message import Message

logger = logging.getLogger("channels_classic.handler")
request_logger = logging.getLogger("django.request")

#: The pauses between two tries on a full reply channel, in seconds: each twice the last.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.5

#: How fast a body must come at least, in bytes a second, once its time is up.
SLOWEST = 1024 * 1024

#: The pause after a receive that brought nothing: a layer need not block, in seconds.
RECEIVE_PAUSE = 0.01


class AsgiRequest(ASGIRequest):
    """Django's own request, made of an ``http.request`` message.

    The constructor waits for the whole body. It raises ``UnicodeDecodeError`` for a query string
    that is not text, ``RequestTimeout`` when the body takes longer than ``body_receive_timeout``
    seconds in total (and one for each MiB of it: a long one may take longer), and
    ``RequestAborted`` when the client went away before its end.
    """

    body_receive_timeout = 60
    #: For views: ``raise request.ResponseLater``, and answer to ``request.reply_channel`` later.
    ResponseLater = ResponseLater

    def __init__(self, message: Message) -> None:
        self.message = message
        self.reply_channel = message.reply_channel
        #: True once the view has left the answer to other code.
        self.answered_later = False
        body = message.content.get("body") or b""
        super().__init__(http_scope(message.content), BytesIO(body))
        if self.script_name:
            self._strip_script_name(self.script_name.rstrip("/"))
        if channel := message.content.get("body_channel"):
            self._stream = self._spool(body, channel)

    def _strip_script_name(self, prefix: str) -> None:
        """``/app`` is a prefix of ``/app`` and ``/app/page``, not of ``/apple``."""
        below = self.path == prefix or self.path.startswith(prefix + "/")
        self.path_info = self.path[len(prefix) :] if below else self.path
        self.META["PATH_INFO"] = self.path_info

    def _spool(self, start: bytes, channel: str) -> BinaryIO:
        spool = SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE)  # noqa: SIM115
        try:
            spool.write(start)
            for chunk in self._body_chunks(channel):
                spool.write(chunk)
        except BaseException:
            spool.close()
            raise
        spool.seek(0)
        return cast("BinaryIO", spool)

    def _body_chunks(self, channel: str) -> Iterator[bytes]:
        layer = self.message.channel_layer
        if layer is None:
            raise ValueError("a message with a body_channel needs its channel layer")
        deadline = time.monotonic() + self.body_receive_timeout
        while time.monotonic() < deadline:
            _, chunk = layer.receive([channel], block=True)
            if chunk is None:
                time.sleep(RECEIVE_PAUSE)
                continue
            if chunk.get("closed"):
                raise RequestAborted
            part = chunk.get("content") or b""
            deadline += len(part) / SLOWEST
            yield part
            if not chunk.get("more_content"):
                return
        raise RequestTimeout


class AsgiHandler(BaseHandler):
    """Runs one ``http.request`` message through middleware and view, and yields the replies.

    Nothing is yielded when the client went away, or when the view raised ``ResponseLater``. The
    response is closed at the end, also when the caller stops early and closes the generator.
    """

    #: Called with the message alone.
    request_class: type[AsgiRequest] = AsgiRequest
    #: The most content of one reply, in bytes: larger ones are copied more slowly than they save.
    chunk_size = 128 * 1024

    _view_middleware: list[Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def __call__(self, message: Message) -> Generator[Content, None, None]:
        set_script_prefix(get_script_prefix(message.content))
        scope = {"type": "http", **message.content}
        request_started.send(sender=type(self), scope=scope, message=message)
        response = self._respond(message)
        if response is None:
            return
        try:
            yield from self.encode_response(response)
        finally:
            response.close()

    def _respond(self, message: Message) -> HttpResponseBase | None:
        """The response to send, or None when nothing is to be sent."""
        try:
            request = self.request_class(message)
        except RequestAborted:
            request_finished.send(sender=type(self))
            return None
        except UnicodeDecodeError:
            request_logger.warning(
                "Bad Request (UnicodeDecodeError)", exc_info=True, extra={"status_code": 400}
            )
            return self._prepared(HttpResponseBadRequest())
        except RequestTimeout:
            text = "408 Request Timeout (upload too slow)"
            return self._prepared(HttpResponse(text, status=408, content_type="text/plain"))
        response = self._prepared(self.get_response(request))
        if request.answered_later:
            response.close()
            return None
        return response

    def _prepared(self, response: Any) -> HttpResponseBase:
        response._handler_class = type(self)  # the sender of request_finished
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        return cast("HttpResponseBase", response)

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Django's response, or a plain 500 when even the site's error page failed."""
        try:
            return super().get_response(request)
        except Exception:
            if settings.DEBUG_PROPAGATE_EXCEPTIONS:
                raise
            extra = {"status_code": 500, "request": request}
            request_logger.exception("Internal Server Error: %s", request.path, extra=extra)
            response = self.handle_uncaught_exception(request, get_resolver(), sys.exc_info())
            return close_with(response, request)

    def handle_uncaught_exception(
        self, request: HttpRequest, resolver: URLResolver, exc_info: Any
    ) -> HttpResponseBase:
        """Django's error page; when that fails too, a plain text one."""
        try:
            return handle_uncaught_exception(request, resolver, exc_info)
        except Exception:
            text = traceback.format_exc() if settings.DEBUG else "Internal Server Error"
            return HttpResponseServerError(text, content_type="text/plain")

    # A view that raises ResponseLater has not failed, so it must not come out of Django's
    # exception handling: the session is saved and no error is logged or signalled.

    def load_middleware(self, is_async: bool = False) -> None:
        """``process_view`` may answer later, too; elsewhere in middleware it is an error."""
        super().load_middleware(is_async)
        self._view_middleware = [_catching_later(each) for each in self._view_middleware]

    def process_exception_by_middleware(
        self, exception: Exception, request: HttpRequest
    ) -> HttpResponse:
        if isinstance(exception, ResponseLater) and isinstance(request, AsgiRequest):
            return _answer_later(request)
        return super().process_exception_by_middleware(exception, request)

    def make_view_atomic(self, view: Callable[..., HttpResponseBase]) -> Callable[..., Any]:
        """With ``ATOMIC_REQUESTS``, ``ResponseLater`` must not roll back what the view saved."""
        atomic = super().make_view_atomic(view)
        return view if atomic is view else super().make_view_atomic(_catching_later(view))

    # Encoding -------------------------------------------------------------------------

    @classmethod
    def encode_response(cls, response: HttpResponseBase) -> Generator[Content, None, None]:
        """The replies that carry ``response``; ``more_content`` is False on the last alone."""
        reply: Content = {"status": response.status_code, "headers": _reply_headers(response)}
        if not response.streaming:
            for chunk, is_last in cls.chunk_bytes(cast("HttpResponse", response).content):
                yield {**reply, "content": chunk, "more_content": not is_last}
                reply = {}
            return
        with closing(_parts(cast("StreamingHttpResponse", response))) as parts:
            for part in parts:
                for chunk, _ in cls.chunk_bytes(part):
                    yield {**reply, "content": chunk, "more_content": True}
                    reply = {}
        yield {**reply, "more_content": False}

    @classmethod
    def chunk_bytes(cls, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """``data`` in chunks of at most ``chunk_size``, each with whether it is the last."""
        size = cls.chunk_size
        if len(data) <= size:
            yield data, True
            return
        for position in range(0, len(data), size):
            yield data[position : position + size], position + size >= len(data)


def close_with(response: Any, request: HttpRequest) -> HttpResponseBase:
    """``response``, which now closes ``request`` too, as Django's own ``get_response`` does."""
    response._resource_closers.append(request.close)
    return cast("HttpResponseBase", response)


class ViewConsumer:
    """The consumer of ``http.request``: sends what Django answers to the reply channel.

    Every reply but the last is sent immediately. While the reply channel is full it waits. After
    ``send_timeout`` seconds without any progress it logs that, closes the response and gives up.
    """

    handler_class: type[AsgiHandler] = AsgiHandler
    send_timeout: float = 120

    def __init__(self) -> None:
        self.handler = self.handler_class()

    def __call__(self, message: Message) -> None:
        channel = message.reply_channel
        if channel is None:
            raise ValueError("an http.request message needs a reply_channel")
        with closing(self.handler(message)) as replies:
            for earlier, reply in enumerate(replies):
                is_last = not reply.get("more_content")
                if is_last and _surely_fits(channel, earlier, reply):
                    channel.send(reply)  # held back: it goes out with the worker's next receive
                elif not self._send_now(channel, reply):
                    logger.error(
                        "Gave up the response to %s: %s was full for %g s. Its client reads too "
                        "slowly or is gone.",
                        message.content.get("path"),
                        channel.name,
                        self.send_timeout,
                    )
                    return

    def _send_now(self, channel: Channel, reply: Content) -> bool:
        """Whether ``channel`` has taken ``reply`` before the deadline."""
        deadline = time.monotonic() + self.send_timeout
        pause = FIRST_PAUSE
        while True:
            try:
                channel.send(reply, immediately=True)
            except ChannelFull:
                if channel.channel_layer.is_gone(channel.name) or time.monotonic() >= deadline:
                    return False
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return True


def _surely_fits(channel: Channel, earlier: int, reply: Content) -> bool:
    """A reply that is held back is dropped if it finds the channel full for long: not this one."""
    encoded = 2 * len(reply.get("content", b""))  # at most: encryption makes it longer
    return not earlier or bool(earlier < channel.channel_layer.get_room(channel.name, encoded))


# The response as replies ----------------------------------------------------------------------


def _reply_headers(response: HttpResponseBase) -> Headers:
    headers = [(name.encode("ascii"), text.encode("latin-1")) for name, text in response.items()]
    cookies = response.cookies.values()
    headers += [(b"Set-Cookie", cookie.output(header="").strip().encode()) for cookie in cookies]
    return headers


def _parts(response: StreamingHttpResponse) -> Generator[bytes, None, None]:
    if response.is_async:
        yield from _async_parts(aiter(response))
    else:
        yield from response


def _async_parts(parts: AsyncIterator[bytes]) -> Generator[bytes, None, None]:
    """Each part as soon as it is there; all run on one event loop, as they may share tasks.

    That loop is not the one an async view ran on: a stream opens its connections itself.
    """
    with asyncio.Runner() as runner:
        thread = ThreadSensitiveContext()
        runner.run(thread.__aenter__())  # type: ignore[no-untyped-call]
        try:
            while (part := runner.run(_next(parts))) is not None:
                yield part
        finally:
            runner.run(_close_stream(thread))


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)


async def _close_stream(thread: ThreadSensitiveContext) -> None:
    """End what still runs, then the thread of its synchronous code with its connections."""
    await asyncio.get_running_loop().shutdown_asyncgens()
    await sync_to_async(connections.close_all)()
    await thread.__aexit__(None, None, None)  # type: ignore[no-untyped-call]


# ResponseLater --------------------------------------------------------------------------------


class _AnsweredLater(HttpResponse):
    """Goes back through the middleware in place of a response, and is never sent."""

    status_code = 202  # neither an error nor anything that a cache keeps


def _answer_later(request: AsgiRequest) -> HttpResponse:
    request.answered_later = True
    return _AnsweredLater()


def _catching_later(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @wraps(view)
    def wrapped(request: AsgiRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except ResponseLater:
            return _answer_later(request)

    return wrapped
