"""The two ends that tests put the server between: a client's and the workers', by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from channels_classic.layers.ends import Receiver
from channels_classic.layers.traffic import Delivery
from channels_classic.server import InterfaceServer


async def until(condition: Callable[[], Any]) -> None:
    """Return as soon as ``condition()`` is true; the deadline of the test ends it else."""
    while not condition():  # noqa: ASYNC110 - what it watches has no event to wait for
        await asyncio.sleep(0.001)


class Client:
    """One connection to the server, as an ASGI server hands it over."""

    def __init__(self, app: InterfaceServer, scope: dict[str, Any]) -> None:
        self.app = app
        self.scope = scope
        headers = scope.get("headers")
        if headers is not None and all(name != b"host" for name, _ in headers):
            scope["headers"] = [*headers, (b"host", b"example.com")]
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.received = 0
        self.sending = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.task: asyncio.Task[None] | None = None

    def start(self):
        self.task = asyncio.create_task(self.app(self.scope, self._receive, self._send))
        return self

    async def _receive(self) -> dict[str, Any]:
        event = await self.incoming.get()
        self.received += 1
        return event

    async def _send(self, event: dict[str, Any]) -> None:
        self.sending.set()
        await self.writable.wait()
        self.sent.put_nowait(event)

    def stop_reading(self) -> None:
        """From now on the server's sends wait, as those to a full socket do."""
        self.writable.clear()

    def read_again(self) -> None:
        self.writable.set()

    async def next_event(self) -> dict[str, Any]:
        """What the server sends next; its exception if it ends by one instead."""
        getting = asyncio.ensure_future(self.sent.get())
        await asyncio.wait([getting, self.task], return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        self.task.result()
        raise AssertionError("the server is done with this connection and sent nothing more")

    async def done(self) -> list[dict[str, Any]]:
        """All that is still to come, once the server is done with the connection."""
        await self.task
        return [self.sent.get_nowait() for _ in range(self.sent.qsize())]


class Request(Client):
    """One HTTP request and its answer."""

    def __init__(self, app, *parts: bytes, **scope: Any) -> None:
        base = {"type": "http", "method": "GET", "path": "/page", "headers": []}
        super().__init__(app, {**base, **scope})
        for number, part in enumerate(parts or (b"",), 1):
            self.upload(part, more=number < len(parts))

    def upload(self, part: bytes, *, more: bool) -> None:
        self.incoming.put_nowait({"type": "http.request", "body": part, "more_body": more})

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body of the complete answer."""
        events = await self.done()
        assert [event["type"] for event in events[:1]] == ["http.response.start"], events
        assert events[-1]["more_body"] is False
        content = b"".join(event["body"] for event in events[1:])
        return events[0]["status"], dict(events[0]["headers"]), content


class Socket(Client):
    """One WebSocket."""

    def __init__(self, app, **scope: Any) -> None:
        base = {"type": "websocket", "path": "/chat", "headers": [], "subprotocols": []}
        super().__init__(app, {**base, **scope})
        self.incoming.put_nowait({"type": "websocket.connect"})

    def say(self, text: str | None = None, data: bytes | None = None) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": text, "bytes": data})

    def leave(self, code: int = 1000) -> None:
        event = {"type": "websocket.disconnect", "code": code, "reason": ""}
        self.incoming.put_nowait(event)


class Workers:
    """The other end of the bus, as workers see it."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self._receivers: dict[str, Receiver] = {}

    def read(self, *channels: str) -> None:
        """Let the server know that somebody reads these channels."""
        self.layer.beat("worker", channels, ttl=60, recover=False)

    async def hold(self, channel: str) -> Delivery:
        """The next message on ``channel``, in the hands of a consumer that is still at work."""
        while not (found := self._exchange(channel)):  # noqa: ASYNC110 - it must not block the loop
            await asyncio.sleep(0.001)
        return found[0]

    def is_idle(self, channel: str) -> bool:
        """Whether there is nothing to take from ``channel``."""
        return not self._exchange(channel)

    def _exchange(self, channel: str) -> list[Delivery]:
        if channel not in self._receivers:
            self._receivers[channel] = self.layer.receiver([channel], worker="worker")
        receiver = self._receivers[channel]
        return receiver.exchange(done=[], sends=[], limit=1, timeout=0).deliveries

    def done(self, delivery: Delivery) -> None:
        """Its consumer has ended."""
        self._receivers[delivery.channel].settle([delivery], [])

    async def take(self, channel: str) -> dict[str, Any]:
        """The next message on ``channel``, whose consumer ends at once."""
        if "?" not in channel:
            delivery = await self.hold(channel)
            self.done(delivery)
            return delivery.content
        while True:
            _, content = await self.layer.receive_async([channel])
            if content is not None:
                return content

    async def reply(self, message: dict[str, Any], **content: Any) -> None:
        await self.layer.send_async(message["reply_channel"], content)

    def waiting(self, channel: str) -> int:
        """How many messages wait on ``channel``."""
        return int(self.layer.channel_statistics(channel)["messages_pending"])
