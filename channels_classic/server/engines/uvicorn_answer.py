"""Answers of the engine, uvicorn 0.54: to HTTP/1.0, its own, and how the last one ends."""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from channels_classic.server.client import Failure
from channels_classic.server.heads import Refusal

logger = logging.getLogger("channels_classic.server")


class Way:
    """The transport as an answer sees it: whether it may close, its protocol knows."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close

    def forget(self, transport: asyncio.Transport) -> None:
        """Let go of the protocol."""
        self.close = transport.close


class BadAnswer(Exception):
    """The application answers what it must not, such as another length than it has announced."""


class Answer(RequestResponseCycle):
    """One request and its answer. One that goes wrong is cut short, so that who asked can tell."""

    async def run_asgi(self, app: Any) -> None:
        await super().run_asgi(partial(self._run, app))

    async def _run(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except (Failure, asyncio.CancelledError):  # they have said so
            self._cut()
        except BadAnswer as error:
            logger.error("Bad answer to %s: %s", scope["path"], error)
            if self.response_started:
                self._cut()
            else:
                await self.send_500_response()

    def _cut(self) -> None:
        self.disconnected = True
        self.transport.close()

    async def send(self, message: Any) -> None:
        if self.transport.is_closing():
            return
        has_started = self.response_started
        try:
            await super().send(message)
        except (KeyError, RuntimeError, ValueError) as error:
            if not has_started:  # nothing of it was written
                self.response_started, self.chunked_encoding = False, None
            raise BadAnswer(str(error)) from error


class UnframedAnswer(Answer):
    """An answer to HTTP/1.0, which knows no chunks: without a length, the connection ends it."""

    _is_unframed = False

    async def send(self, message: Any) -> None:
        if not self.response_started:
            names = {name.lower() for name, _ in message.get("headers", ())}
            if b"content-length" not in names:
                self._is_unframed = True
                self.chunked_encoding = False
        elif self._is_unframed:
            await self._send_part(message.get("body", b""))
            message = {**message, "body": b""}
        await super().send(message)

    async def _send_part(self, body: bytes) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if body and not self.disconnected and self.scope["method"] != "HEAD":
            self.transport.write(body)


def refusal_bytes(refusal: Refusal, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An answer of the engine itself, after which the connection ends."""
    try:
        title = http.HTTPStatus(refusal.status).phrase
    except ValueError:
        title = ""
    body = f"{refusal.reason}\n".encode()
    fields = [
        *headers,
        *refusal.headers,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    head = [f"HTTP/1.1 {refusal.status} {title}\r\n".encode()]
    head += [name + b": " + value + b"\r\n" for name, value in fields]
    return b"".join([*head, b"\r\n", body])
