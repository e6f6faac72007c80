"""Rules on the heads of requests, and what is said to those who break them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Any

from channels_classic.server.client import Receive, Send
from channels_classic.server.translate import CONTROL, TOKEN, Scope, error_events

Headers = Sequence[tuple[bytes, bytes]]

_HOST = re.compile(
    rb"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
)

_AUTHORITY = re.compile(rb"https?://([^/?#@]+)", re.IGNORECASE)


class Refusal(Exception):
    """A request that is not served: the status, the reason, and headers besides the usual ones."""

    def __init__(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


def fault(scope: Scope) -> str | None:
    """What is wrong with the head of a request, a bad request then; None when all is well.

    HTTP/1.0 knows no Host, and probes that still speak it send none.
    """
    headers = list(scope["headers"])
    names = [name for name, _ in headers]
    if b"" in names or (names and not TOKEN.fullmatch(b"".join(names))):
        return "A header has a name that is none."
    if CONTROL.search(b" ".join([value for _, value in headers])):
        return "A header has a control character in it."
    count = names.count(b"host")
    if count != 1:
        if count == 0 and scope.get("http_version") == "1.0":
            return None
        return "A request has one Host header."
    if not _HOST.fullmatch(headers[names.index(b"host")][1]):
        return "The Host header names no host."
    return None


async def refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    """Answer 400 with a small page; where a WebSocket cannot be answered, refuse it."""
    events = error_events(400, "Bad request", reason)
    if scope["type"] == "websocket":
        await receive()  # its connect
        if "websocket.http.response" in (scope.get("extensions") or {}):
            events = [{**event, "type": f"websocket.{event['type']}"} for event in events]
        else:
            events = [{"type": "websocket.close", "code": 1000}]
    for event in events:
        await send(event)


def size(method: str, target: bytes, headers: Headers) -> int:
    """The bytes of a request line and its headers, as HTTP/1 has them."""
    line = len(method) + len(target) + len("  HTTP/1.1\r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in headers) + 2


def target_fault(method: str, target: bytes, headers: Headers) -> Refusal | None:
    """Why the target of a request line is refused; one that has a host must have that of Host."""
    if method == "CONNECT":
        return Refusal(501, "This server is no proxy.")
    if target.startswith(b"/"):
        return None
    host = _AUTHORITY.match(target)
    if host is None or {each.lower() for each in _values(headers, b"host")} - {host[1].lower()}:
        return Refusal(400, "The address is none, or not that of the Host header.")
    return None


# The handshake of a WebSocket -------------------------------------------------------------


def wants_websocket(headers: Headers) -> bool:
    """Whether an upgrade to the WebSocket protocol is asked for, also in a wrong way."""
    return b"websocket" in _tokens(headers, b"upgrade")


def handshake_fault(method: str, version: str, headers: Headers) -> Refusal | None:
    """Why a request with ``wants_websocket`` opens none (RFC 6455, 4.2.1); None when it does."""
    if (method, version) != ("GET", "1.1"):
        return Refusal(400, "A WebSocket is opened by GET, with HTTP/1.1.")
    if _tokens(headers, b"upgrade") != [b"websocket"] or not _is_without_body(headers):
        return Refusal(400, "The handshake of a WebSocket asks for nothing else.")
    if _values(headers, b"sec-websocket-version") != [b"13"]:
        reason = "This server speaks version 13 of the WebSocket protocol."
        return Refusal(426, reason, (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return Refusal(400, "The handshake of a WebSocket has one valid Sec-WebSocket-Key.")
    return None


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _tokens(headers: Headers, wanted: bytes) -> list[bytes]:
    return [each.strip().lower() for each in b",".join(_values(headers, wanted)).split(b",")]


def _is_without_body(headers: Headers) -> bool:
    lengths: Iterable[Any] = _values(headers, b"content-length")
    return all(each == b"0" for each in lengths) and not _values(headers, b"transfer-encoding")


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False
