"""What all connections of the engine hypercorn share, and how applications run in them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from channels_classic.server.client import Failure
from channels_classic.server.engines.census import Census
from channels_classic.server.options import Limits

if TYPE_CHECKING:
    from channels_classic.server.engines.hypercorn_websocket import SocketStream

logger = logging.getLogger("channels_classic.server")

#: Streams of one connection that may be open at once.
STREAMS = 100
#: Events that may wait for an application; then the client is not read from.
_WAITING = 4
#: More requests than any connection sees: it ends by its limits of time alone.
NEVER = 2**62

Put = Callable[[Any], Awaitable[None]]
Note = Callable[[str, str], None]
AppSend = Callable[[Any], Awaitable[None]]


class EngineConfig(Config):
    """The engine's own options, as far as it has any; the rest is in ``limits``."""

    def __init__(self, limits: Limits, note: Note) -> None:
        super().__init__()
        self.limits = limits
        #: Counts, by a value of the layers' ``Counter``, and logs sparingly.
        self.note = note
        self.accesslog = None
        self.errorlog = logger
        self.include_server_header = False
        self.h11_max_incomplete_size = limits.max_head
        self.h2_max_header_list_size = limits.max_head
        self.h2_max_concurrent_streams = STREAMS
        self.keep_alive_max_requests = NEVER
        self.websocket_max_message_size = limits.max_message_size


class Context(WorkerContext):
    """Says that the server stops, counts connections, and knows the WebSockets."""

    def __init__(self, census: Census) -> None:
        super().__init__(max_requests=None)
        self.census = census
        self.sockets: set[SocketStream] = set()


class Tasks(TaskGroup):
    """The tasks of one connection; it ends when they have."""

    async def spawn_app(self, app: Any, config: Config, scope: Any, send: AppSend) -> Put:
        """Run the application for ``scope``; returns how to hand it the client's events."""
        inbox = Inbox()
        self.spawn(_run, app, scope, inbox, send)
        return inbox.put


async def _run(app: Any, scope: Any, inbox: Inbox, send: AppSend) -> None:
    try:
        await app(scope, inbox.get, send, None, None)
    except Failure:
        pass  # the answer is cut short, as has been said
    except Exception:  # an error that nobody foresaw costs one request, not the connection
        logger.exception("Error while serving %s", scope["path"])
    finally:
        inbox.close()
        await send(None)


class Inbox:
    """The events of one client for its application; who puts them waits while it lags behind.

    The engine's own queue has no end: there a client that sends on after an early answer stops
    the connection for ever.
    """

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False

    async def put(self, event: dict[str, Any]) -> None:
        """Add ``event``, and wait for room for the next."""
        if self._closed:
            return
        self._events.append(event)
        self._arrived.set()
        if event["type"].endswith(".disconnect"):
            self._room.set()
            self._closed = True  # nothing follows
        elif len(self._events) >= _WAITING:
            self._room.clear()
            await self._room.wait()

    async def get(self) -> dict[str, Any]:
        """The next event; that the client has gone is said again and again."""
        while not self._events:
            self._arrived.clear()
            await self._arrived.wait()
        if len(self._events) == 1 and self._closed:
            return self._events[0]
        event = self._events.popleft()
        self._room.set()
        return event

    def close(self) -> None:
        """The application has ended: nobody takes what comes."""
        self._closed = True
        self._events.clear()
        self._room.set()


class Watch:
    """Until it is stopped: calls ``stuck`` when ``progress()`` was the same for some seconds."""

    def __init__(
        self, seconds: float, progress: Callable[[], int], stuck: Callable[[], None]
    ) -> None:
        self._seconds = seconds
        self._progress = progress
        self._stuck = stuck
        self._timer = self._look_later()

    def stop(self) -> None:
        """There is nothing to watch any more."""
        self._timer.cancel()

    def _look_later(self) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(self._seconds, self._look, self._progress())

    def _look(self, before: int) -> None:
        if self._progress() == before:
            self._stuck()
        else:
            self._timer = self._look_later()
