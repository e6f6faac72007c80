"""Pure translation: ASGI scopes and events to message content, and back (ASGI 3.0, HTTP and WS)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from channels_classic import tracing
from channels_classic.utils import check_close_code

Content = dict[str, Any]
Event = dict[str, Any]
Scope = Mapping[str, Any]
Header = tuple[bytes, bytes]

#: What goes to a group may reach consumers, too: it may have a trace, which is not for clients.
_TRACE_KEYS = frozenset(tracing.KEYS)
_SOCKET_KEYS = frozenset({"text", "bytes", "close", "accept"})
_RESPONSE_KEYS = frozenset(
    {"status", "status_text", "headers", "content", "more_content", "heartbeat"}
)

#: Statuses of answers that have no body, whatever a consumer sends with them.
_WITHOUT_BODY = frozenset({204, 304})
_CODING = frozenset({b"transfer-encoding"})
_FRAMING = _CODING | {b"content-length"}

#: The name of a header.
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: What the value of a header must not have: line breaks, and all that some program takes for one,
#: 0b, 0c, 1c to 1e, and 85; but 85 is also a part of letters in UTF-8, which cookies may have.
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|(?<![\x80-\xbf\xc3-\xf4])\x85")


class BadReply(ValueError):
    """A consumer answered something that cannot be sent to the client."""


# From the client -------------------------------------------------------------------------


def http_request(
    scope: Scope,
    *,
    reply_channel: str,
    root_path: str,
    body: bytes = b"",
    body_channel: str | None = None,
    request_id: str = "",
) -> Content:
    """The ``http.request`` message; ``body_channel`` carries what follows ``body``."""
    content: Content = {
        "reply_channel": reply_channel,
        "http_version": scope.get("http_version", "1.1"),
        "method": scope["method"],
        **_common(scope, root_path, "http"),
        "body": body,
    }
    if body_channel is not None:
        content["body_channel"] = body_channel
    return _with_id(content, request_id)


def http_disconnect(scope: Scope, *, reply_channel: str, request_id: str = "") -> Content:
    """The ``http.disconnect`` message: the client left before the answer was complete."""
    return _with_id({"reply_channel": reply_channel, "path": scope["path"]}, request_id)


def websocket_connect(
    scope: Scope, *, reply_channel: str, root_path: str, request_id: str = ""
) -> Content:
    """The ``websocket.connect`` message, which must be answered to open the socket."""
    content = {"reply_channel": reply_channel, **_common(scope, root_path, "ws"), "order": 0}
    return _with_id(content, request_id)


def websocket_receive(
    event: Event, *, reply_channel: str, path: str, order: int, request_id: str = ""
) -> Content:
    """The ``websocket.receive`` message for one incoming frame."""
    frame = {key: event[key] for key in ("text", "bytes") if event.get(key) is not None}
    content = {"reply_channel": reply_channel, "path": path, "order": order, **frame}
    return _with_id(content, request_id)


def websocket_disconnect(
    code: int | None, *, reply_channel: str, path: str, order: int, request_id: str = ""
) -> Content:
    """The ``websocket.disconnect`` message; 1005, "no code was given", is None on the bus."""
    content = {
        "reply_channel": reply_channel,
        "code": None if code == 1005 else code,
        "path": path,
        "order": order,
    }
    return _with_id(content, request_id)


def _with_id(content: Content, request_id: str) -> Content:
    """``request_id`` is what log lines of servers and workers share."""
    if request_id:
        content["request_id"] = request_id
    return content


def _common(scope: Scope, root_path: str, default_scheme: str) -> Content:
    server = scope.get("server")
    return {
        "scheme": scope.get("scheme") or default_scheme,
        "path": scope["path"],
        "query_string": scope.get("query_string", b""),
        "root_path": root_path or scope.get("root_path", ""),
        # A name with "_" could pass for the same name with "-" in Django's META.
        "headers": [pair for pair in scope["headers"] if b"_" not in pair[0]],
        "client": scope.get("client"),
        "server": server if server and server[1] is not None else None,  # no UNIX socket
    }


def close_code(event: Event) -> int | None:
    """The code of the close frame, or 1006 when there was none.

    The default engine reports 1005, "a frame without a code", for both; a frame has a reason.
    """
    code: int | None = event.get("code")
    return 1006 if code == 1005 and "reason" not in event else code


# To the client ---------------------------------------------------------------------------


def http_events(content: Content, *, started: bool) -> list[Event]:
    """The ASGI events of one part of a response, or ``BadReply``; none for a server push."""
    if "request" in content and not started:
        return []  # no client of ours takes pushes
    if (unknown := content.keys() - _RESPONSE_KEYS) and (unknown := unknown - _TRACE_KEYS):
        raise BadReply(f"a response has no key {', '.join(map(repr, sorted(unknown)))}")
    if started == ("status" in content):
        raise BadReply(
            "a response has one status, in its first message: this one "
            + ("comes later and has one" if started else "is the first and has none")
        )
    heartbeat = content.get("heartbeat", 1)
    if isinstance(heartbeat, bool) or not isinstance(heartbeat, (int, float)) or not heartbeat >= 0:
        raise BadReply(f"the heartbeat of a response is a number of seconds, not {heartbeat!r}")
    body = content.get("content") or b""
    if not isinstance(body, bytes):
        raise BadReply(f"the content of a response is bytes, not {type(body).__name__}")
    events: list[Event] = [] if started else [_response_start(content)]
    if events and events[0]["status"] in _WITHOUT_BODY:
        body = b""
    more = bool(content.get("more_content", False))
    events.append({"type": "http.response.body", "body": body, "more_body": more})
    return events


def _response_start(content: Content) -> Event:
    status = content["status"]
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise BadReply(f"{status!r} is not the status of a final response")
    pairs = content.get("headers") or ()
    if not isinstance(pairs, (list, tuple)):
        raise BadReply(f"the headers of a response are a list of pairs, not {pairs!r:.100}")
    headers = [_header(pair) for pair in pairs]
    return {
        "type": "http.response.start",
        "status": status,
        "headers": _framed(headers, content, has_body=status not in _WITHOUT_BODY),
    }


def _framed(headers: list[Header], content: Content, *, has_body: bool) -> list[Header]:
    """With one length at most, and nothing else that says where the answer ends."""
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1 or not all(map(bytes.isdigit, lengths)):
        raise BadReply("the content-length of a response is one number")
    unwanted = _CODING if has_body else _FRAMING
    if not unwanted.isdisjoint(name for name, _ in headers):
        headers = [pair for pair in headers if pair[0] not in unwanted]
    body = content.get("content")
    if has_body and body and not lengths and not content.get("more_content"):
        headers.append((b"content-length", b"%d" % len(body)))  # it need not go in chunks
    return headers


def _header(pair: Any) -> Header:
    """One header, lower-case as ASGI wants it; text is tolerated, a line break never is."""
    try:
        if not isinstance(pair, (list, tuple)):
            raise TypeError
        name, value = pair
        if type(name) is not bytes or type(value) is not bytes:
            name, value = _latin(name), _latin(value)
    except (TypeError, ValueError):
        raise BadReply(f"{pair!r:.100} is not a pair of header name and value") from None
    if not TOKEN.fullmatch(name):
        raise BadReply(f"{name!r:.100} is not the name of a header")
    if CONTROL.search(value):
        raise BadReply(f"the header {name!r:.100} has a control character in it")
    return name.lower(), value


def _latin(part: str | bytes) -> bytes:
    if isinstance(part, str):
        return part.encode("latin-1")
    if not isinstance(part, bytes):  # bytes(5) would be five zero bytes
        raise TypeError
    return part


def websocket_events(
    content: Content, *, accepted: bool, subprotocol: str | None = None
) -> list[Event]:
    """The ASGI events of one reply to a WebSocket, or ``BadReply``.

    While the handshake is under way, ``accept`` or data opens the socket and ``close`` refuses it.
    """
    frame = _frame(content)
    close = content.get("close")
    events: list[Event] = []
    if not accepted:
        accept = content.get("accept")
        if accept is False or (not accept and not frame):
            refused = accept is False or close
            return [{"type": "websocket.close", "code": 1000}] if refused else []
        events.append({"type": "websocket.accept", "subprotocol": subprotocol})
    events += frame
    if close:
        events.append({"type": "websocket.close", "code": _close_code(close)})
    return events


def websocket_denial(content: Content) -> list[Event]:
    """The ASGI events of a response, in one message, that refuses a WebSocket; or ``BadReply``."""
    if content.get("more_content"):
        raise BadReply("a response to the handshake of a WebSocket comes in one message")
    return as_denial(http_events(content, started=False))


def as_denial(events: list[Event]) -> list[Event]:
    """The events of a response, as the answer to the handshake of a WebSocket."""
    return [{**event, "type": f"websocket.{event['type']}"} for event in events]


def _frame(content: Content) -> list[Event]:
    if (unknown := content.keys() - _SOCKET_KEYS) and (unknown := unknown - _TRACE_KEYS):
        raise BadReply(
            f"a reply to a WebSocket has no key {', '.join(map(repr, sorted(unknown)))}: "
            "use text, bytes, close and accept"
        )
    text, data = content.get("text"), content.get("bytes")
    if text and data:
        raise BadReply("a reply to a WebSocket has text or bytes, not both")
    if text is not None and not data:
        if not isinstance(text, str):
            raise BadReply(f"text must be a str, not {type(text).__name__}")
        return [{"type": "websocket.send", "text": text}]
    if data is not None:
        if not isinstance(data, bytes):
            raise BadReply(f"bytes must be bytes, not {type(data).__name__}")
        return [{"type": "websocket.send", "bytes": data}]
    return []


def _close_code(close: Any) -> int:
    try:
        return 1000 if close is True else check_close_code(close)
    except (TypeError, ValueError) as error:
        raise BadReply(str(error)) from None


def choose_subprotocol(offered: Iterable[str], known: Sequence[str]) -> str | None:
    """The first of the client's offers that the server knows."""
    return next((each for each in offered if each in known), None)


def error_events(
    status: int, title: str, text: str, *, retry_after: int | None = None
) -> list[Event]:
    """A small page of the server's own, for what goes wrong outside the application."""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{status} {escape(title)}</title>"
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p></html>"
    ).encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(page)).encode()),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return [
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": page, "more_body": False},
    ]
