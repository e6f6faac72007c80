"""BodyRate: a request body that comes too slowly is answered 408."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from channels_classic.server.engines import pace
from channels_classic.server.translate import error_events

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class BodyRate:
    """An ASGI application before another: clients owe it ``rate`` bytes of a body a second.

    Only the time that is spent waiting for the client counts. To the application a slow client is
    one that has gone.
    """

    def __init__(self, app: Any, rate: int, *, grace: float | None = None) -> None:
        self._app = app
        self._rate = rate
        self._grace = pace.GRACE if grace is None else grace

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._rate:
            await self._app(scope, receive, send)
            return
        upload = _Upload(receive, send, self._rate, self._grace)
        await self._app(scope, upload.receive, upload.send)
        if upload.is_slow and not upload.is_answered:
            text = "The request body came too slowly."
            for event in error_events(408, "Request timeout", text):
                await send(event)


class _Upload:
    def __init__(self, receive: Receive, send: Send, rate: int, grace: float) -> None:
        self._receive = receive
        self._send = send
        self._rate = rate
        self._grace = self._left = grace
        self._complete = False
        self.is_slow = False
        self.is_answered = False

    async def receive(self) -> Event:
        if self.is_slow:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(self._left, 0)):
                event = await self._receive()
        except TimeoutError:
            self.is_slow = True
            return {"type": "http.disconnect"}
        earned = len(event.get("body", b"")) / self._rate
        self._left = min(self._left + earned - (time.monotonic() - began), self._grace)
        self._complete = not event.get("more_body")
        return event

    async def send(self, event: Event) -> None:
        self.is_answered = True
        await self._send(event)
