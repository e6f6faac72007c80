"""What is between a client and the server: the two ways of ASGI, and how a request may fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channels_classic.server import translate

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientGone(Exception):
    """The client closed the connection."""


class Failure(Exception):
    """The server answers by itself: status, title, text and the Retry-After in seconds."""

    def __init__(self, status: int, title: str, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.events = translate.error_events(status, title, text, retry_after=retry_after)
