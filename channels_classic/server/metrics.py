"""Metrics: what a server counts for Prometheus, between the engine and the connections."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector

from channels_classic.server.figures import FOLDER
from channels_classic.server.traces import METHODS
from channels_classic.server.translate import close_code

if TYPE_CHECKING:
    from channels_classic.server.client import Receive, Send

#: Seconds of a request; an event stream is longer than all of them.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_OUTCOMES = {503: "unavailable", 101: "accepted"}

Event = dict[str, Any]
Serve = Callable[["Receive", "Send"], Any]


class ServerMetrics:
    """Counts requests and sockets, and shows the figures.

    With several processes (``PROMETHEUS_MULTIPROC_DIR``) any of them shows the sums over all. No
    label has a value that clients make up.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        counter = partial(Counter, namespace="channels_classic", registry=registry)
        gauge = partial(
            Gauge, namespace="channels_classic", registry=registry, multiprocess_mode="livesum"
        )
        self._add_requests(counter, gauge)
        self._add_sockets(counter, gauge)
        self._refusals = counter(
            "server_refusals",
            "What was refused, cut or lost at this server, by reason.",
            ["reason"],
        )
        gauge("server_processes", "Processes of this server.").set(1)

    def _add_requests(self, counter: partial[Counter], gauge: partial[Gauge]) -> None:
        self._requests = counter(
            "http_requests",
            "Requests by method and status; none: the client left.",
            ["method", "status"],
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds from a request to the end of its answer.",
            ["method"],
            namespace="channels_classic",
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._in_flight = gauge("http_requests_in_flight", "Requests without a complete answer.")
        self._body = counter("http_response_body_bytes", "Bytes of the bodies of answers.")
        self._known: dict[tuple[str, int], Any] = {}

    def _add_sockets(self, counter: partial[Counter], gauge: partial[Gauge]) -> None:
        self._sockets = gauge("websocket_connections", "Open WebSockets.")
        self._handshakes = counter(
            "websocket_handshakes",
            "Handshakes: accepted, rejected, unavailable (no worker, or too busy) or left.",
            ["outcome"],
        )
        self._messages = counter("websocket_messages", "Messages of WebSockets.", ["direction"])
        self._bytes = counter("websocket_message_bytes", "Bytes of them.", ["direction"])
        self._closes = counter("websocket_closes", "Closed WebSockets by their code.", ["code"])
        self._directions = {
            way: (self._messages.labels(way), self._bytes.labels(way)) for way in ("in", "out")
        }

    # HTTP -----------------------------------------------------------------------------

    async def serve_http(self, serve: Serve, method: str, receive: Receive, send: Send) -> None:
        """Have ``serve`` answer a request, and count it."""
        began, status, size = time.monotonic(), 0, 0

        async def counted(event: Event) -> None:
            nonlocal status, size
            status = event.get("status", status)
            size += len(event.get("body", b""))
            await send(event)

        self._in_flight.inc()
        try:
            await serve(receive, counted)
        finally:
            self._in_flight.dec()
            self._body.inc(size)
            requests, seconds = self._of(method, status)
            requests.inc()
            seconds.observe(time.monotonic() - began)

    def _of(self, method: str, status: int) -> tuple[Any, Any]:
        method = method if method in METHODS else "other"
        found = self._known.get((method, status))
        if found is None:
            shown = str(status) if 100 <= status <= 599 else "none"
            found = self._requests.labels(method, shown), self._seconds.labels(method)
            self._known[method, status] = found
        return found

    # WebSockets -----------------------------------------------------------------------

    async def serve_websocket(self, serve: Serve, receive: Receive, send: Send) -> None:
        """Have ``serve`` look after a WebSocket, and count what it does."""
        status = 0  # of the handshake, and -1 when the socket has been closed
        received, sent = self._directions["in"], self._directions["out"]

        async def counted_receive() -> Event:
            nonlocal status
            event: Event = await receive()
            if event["type"] == "websocket.receive":
                _count(received, event)
            elif event["type"] == "websocket.disconnect" and status == 101:
                status = self._closed(close_code(event) or 1005)
            return event

        async def counted_send(event: Event) -> None:
            nonlocal status
            kind = event["type"]
            if kind == "websocket.send":
                _count(sent, event)
            elif not status and kind != "websocket.http.response.body":
                status = 101 if kind == "websocket.accept" else event.get("status", 403)
                self._answered(status)
            await send(event)

        try:
            await serve(counted_receive, counted_send)
        finally:
            if status == 101:
                self._closed(1006)  # nobody has said how it ended
            elif not status:
                self._handshakes.labels("left").inc()

    def _answered(self, status: int) -> None:
        self._handshakes.labels(_OUTCOMES.get(status, "rejected")).inc()
        if status == 101:
            self._sockets.inc()

    def _closed(self, code: int) -> int:
        self._sockets.dec()
        self._closes.labels(_shown(code)).inc()
        return -1

    def refused(self, counter: str) -> None:
        """One more of what ``counter`` says, a value of the layers' ``Counter``."""
        self._refusals.labels(counter.removesuffix("_count")).inc()

    # The figures ------------------------------------------------------------------------

    async def show(self, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, str]:
        """All of them, in the format that the headers of a request accept, and its type."""
        accepted = dict(headers).get(b"accept", b"").decode("latin-1")
        encode, kind = choose_encoder(accepted)
        return await asyncio.to_thread(encode, self._collected()), kind

    def _collected(self) -> CollectorRegistry:
        if not os.environ.get(FOLDER):
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry


def _count(direction: tuple[Any, Any], event: Event) -> None:
    messages, size = direction
    messages.inc()
    text = event.get("text")
    if text is None:
        size.inc(len(event.get("bytes") or b""))
    else:
        size.inc(len(text) if text.isascii() else len(text.encode("utf-8", "replace")))


def _shown(code: int) -> str:
    """A code of the protocol; those that applications make up are one for all."""
    if 1000 <= code <= 1015:
        return str(code)
    return "3000-4999" if 3000 <= code <= 4999 else "other"
