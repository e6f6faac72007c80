"""The spans of a server: one for each request, each handshake and each message of a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels_classic import tracing
from channels_classic.server.proxies import TRUSTED

Scope = Mapping[str, Any]

#: Those that have a name; others are not to fill anybody's store with theirs.
METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)


def request(scope: Scope) -> tracing.Span:
    """The span of an HTTP request, or of the handshake of a WebSocket.

    It goes on with the trace of a trusted proxy. Whatever trace others name is linked to and no
    more, as they could have all of theirs kept, or join those of strangers.
    """
    if not tracing.is_on():
        return tracing.NOTHING
    carrier = _headers(scope)
    if scope.get(TRUSTED):
        return tracing.begin(method_of(scope), "SERVER", _attributes(scope), parent=carrier)
    links = tracing.link_to(carrier)
    return tracing.begin(method_of(scope), "SERVER", _attributes(scope), parent={}, links=links)


def answered(span: tracing.Span, status: int, request_id: str = "") -> None:
    """What the client got; 0 is nothing, as it has left."""
    if span is tracing.NOTHING:
        return
    span.set("channels_classic.request_id", request_id)
    if not status:
        span.note("client left")
        return
    span.set("http.response.status_code", status)
    if status >= 500:
        span.failed(str(status))


def method_of(scope: Scope) -> str:
    """The method if it is a known one, else HTTP; a handshake is a GET."""
    method = scope.get("method", "GET")
    return method if method in METHODS else "HTTP"


def _headers(scope: Scope) -> dict[str, str]:
    """Those that carry a trace; one that comes twice is none."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if (key := name.decode("latin-1")) in tracing.KEYS:
            found[key] = "" if key in found else value.decode("latin-1")
    return found


def _attributes(scope: Scope) -> dict[str, Any]:
    """By the semantic conventions; the query stays out, as it may hold secrets."""
    client, server = scope.get("client"), scope.get("server")
    headers = dict(scope["headers"])
    agent = headers.get(b"user-agent")
    return {
        "http.request.method": "_OTHER" if method_of(scope) == "HTTP" else method_of(scope),
        "url.scheme": scope.get("scheme", "http"),
        "url.path": scope["path"],
        "network.protocol.name": "http" if scope["type"] == "http" else "websocket",
        "network.protocol.version": scope.get("http_version"),
        "client.address": client[0] if client else None,
        "server.address": server[0] if server else None,
        "server.port": server[1] if server else None,
        "user_agent.original": agent.decode("latin-1") if agent is not None else None,
    }


class SocketTraces:
    """The spans of one WebSocket: each message is a trace of its own, as a socket may live long.

    They last until the message has been dealt with, and are linked to that of the handshake.
    """

    __slots__ = ("_links", "_open", "_path")

    def __init__(self, handshake: tracing.Span, path: str) -> None:
        self._links = [handshake.link()]
        self._path = path
        self._open: dict[int, tracing.Span] = {}

    def begin(self, number: int, content: dict[str, Any], channel: str) -> None:
        """The message ``number``, which goes to ``channel``, has come."""
        attributes = {**tracing.messaging("send", channel), "url.path": self._path}
        span = tracing.begin(channel, "SERVER", attributes, parent={}, links=self._links)
        span.carry(content)
        self._open[number] = span

    def end(self, number: int, lost: bool = False) -> None:
        """The message ``number`` has been dealt with; ``lost``: nobody knows how far."""
        span = self._open.pop(number, None)
        if span is not None:
            if lost:
                span.failed("lost")
            span.end()

    def end_all(self) -> None:
        """Nobody will hear what became of the others."""
        for number in list(self._open):
            self.end(number)
