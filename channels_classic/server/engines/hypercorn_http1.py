"""Http1Protocol: what the engine, hypercorn 0.18, leaves open about HTTP/1."""

from __future__ import annotations

import logging
import re
from http.client import responses
from typing import TYPE_CHECKING, Any

import h11
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Body, Request
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import (
    STREAM_ID,
    H2ProtocolAssumedError,
    H11Protocol,
    H11WSConnection,
)
from hypercorn.protocol.http_stream import HTTPStream

from channels_classic.server import heads
from channels_classic.server.engines.hypercorn_context import NEVER, EngineConfig
from channels_classic.server.engines.hypercorn_websocket import SocketStream
from channels_classic.server.engines.pace import Pace

if TYPE_CHECKING:
    from hypercorn.typing import H11SendableEvent

Headers = list[tuple[bytes, bytes]]

logger = logging.getLogger("channels_classic.server")

_VERSIONS = ("1.0", "1.1")
_METHOD = re.compile("(?!PRI$)[A-Z][A-Z-]{0,19}")
_LAST = (b"connection", b"close")
_DOUBTFUL_LINE = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]")
_LENGTH = re.compile(rb"(?i)\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*\r")
_CODING = re.compile(rb"(?i)\ntransfer-encoding:[ \t]*([^\r\n]*?)[ \t]*\r")
#: What a target may begin with, that is meant for a proxy.
_ORIGIN = re.compile(rb"(?i)^https?://[^/?#]*")


class Http1Protocol(H11Protocol):
    """Limits the head; says when its deadline has passed; never becomes HTTP/2 by ``Upgrade``."""

    config: EngineConfig
    connection: Any
    #: Whether the request was answered before all of it has come.
    is_answered = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What has come since the last request, as it came: the parser forgives too much.
        self._head = b""
        self._pace = Pace(0)  # of which only the padding is of interest: see BodyRate

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request's head has come."""
        return bool(self.connection.trailing_data[0])

    @property
    def is_owed(self) -> bool:
        """Whether the client may still send something that nobody will read."""
        if isinstance(self.connection, H11WSConnection):
            return True
        return self.has_begun or self.connection.their_state in (h11.SEND_BODY, h11.ERROR)

    async def drain(self) -> None:
        """The server stops: the next answer is the last one, and says so."""
        self.keep_alive_requests = NEVER

    async def time_out(self) -> None:
        """The client has been silent for too long."""
        if self.stream is None and self.has_begun:
            await self._send_error_response(408)

    async def handle(self, event: Event) -> None:
        """Take bytes, or the end; not too many that are no content of a body."""
        if isinstance(event, RawData) and self.stream is None:
            self._head += event.data
        await super().handle(event)
        if isinstance(event, RawData) and self.connection.their_state is h11.SEND_BODY:
            self._pace.raw += len(event.data)
            if not self.is_answered and self._pace.is_padded(2 * self.config.limits.max_head):
                self.config.note("bad_request_count", "Refused a request: its body is padding")
                await self._send_error_response(400)
                await self.send(Closed())

    async def stream_send(self, event: StreamEvent) -> None:
        """Pass on an answer; one of another length than it says ends with the connection."""
        try:
            await super().stream_send(event)
        except h11.LocalProtocolError as error:
            logger.error("Cut an answer short: %s", error)
            await self.send(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        if (event.method, event.target, event.http_version) == (b"PRI", b"*", b"2.0"):
            raise H2ProtocolAssumedError(
                b"PRI * HTTP/2.0\r\n\r\n" + self.connection.trailing_data[0]
            )

    async def _create_stream(self, request: h11.Request) -> None:
        headers = list(request.headers)
        if refusal := self._refusal(request, headers):
            text = f"Refused a request: {refusal.status} {refusal.reason}"
            self.config.note("bad_request_count", text)
            await self._send_error_response(refusal.status, *refusal.headers)
            await self.send(Closed())
        else:
            await self._begin(request, headers)

    def _refusal(self, request: h11.Request, headers: Headers) -> heads.Refusal | None:
        """Why a request is not served that the engine would serve."""
        method, version = request.method.decode(), request.http_version.decode()
        limits = self.config.limits
        if version not in _VERSIONS:
            return heads.Refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
        if heads.size(method, request.target, headers) > limits.max_head:
            return heads.Refusal(431, "The head of the request is too large.")
        if len(headers) > limits.max_fields:
            return heads.Refusal(431, f"A request has {limits.max_fields} headers at most.")
        if not _METHOD.fullmatch(method):
            return heads.Refusal(501, "There is no such method.")
        if fault := _fault(self._take_head(), version):
            return fault
        if heads.wants_websocket(headers) and (
            fault := heads.handshake_fault(method, version, headers)
        ):
            return fault
        return heads.target_fault(method, request.target, headers)

    def _take_head(self) -> bytes:
        rest = len(self.connection.trailing_data[0])
        head, self._head = self._head[: len(self._head) - rest], b""
        return head

    async def _maybe_recycle(self) -> None:
        await super()._maybe_recycle()
        self._head = self.connection.trailing_data[0]

    async def _send_error_response(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        needed = [(b"content-length", b"0"), (b"connection", b"close"), *headers]
        needed += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status, headers=needed))
        await self._send_h11_event(h11.EndOfMessage())

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        if isinstance(event, h11.Response):
            event = self._complete(event)
        await super()._send_h11_event(event)

    def _complete(self, event: h11.Response) -> h11.Response:
        """With a reason, which some programs want; and the last one says so."""
        headers = list(event.headers)
        if self.connection.their_state is h11.SEND_BODY and not self.is_answered:
            self.is_answered = True
            headers = [*(each for each in headers if each[0] != b"connection"), _LAST]
        reason = responses.get(event.status_code, "").encode()
        return h11.Response(status_code=event.status_code, headers=headers, reason=reason)

    async def _begin(self, request: h11.Request, headers: Headers) -> None:
        is_socket = heads.wants_websocket(headers)
        kind = SocketStream if is_socket else RequestStream
        self.stream = kind(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        if is_socket:
            self.connection = H11WSConnection(self.connection)
        elif isinstance(self.stream, RequestStream):
            self._pace.begin()
            self.stream.pace = self._pace
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode(),
                method=request.method.decode(),
                raw_path=_ORIGIN.sub(b"", request.target).partition(b"#")[0] or b"/",
                state=self.connection_state,
            )
        )


def _fault(head: bytes, version: str) -> heads.Refusal | None:
    """What in a head others may read differently, so that it is best not read at all."""
    if _DOUBTFUL_LINE.search(head.lstrip(b"\r\n")):
        return heads.Refusal(400, "A line of the head does not end as it should.")
    lengths, codings = _LENGTH.findall(head), _CODING.findall(head)
    if len(lengths) + len(codings) > 1 or (codings and version == "1.0"):
        return heads.Refusal(400, "The length of the body is in doubt.")
    if any(not each.isdigit() or len(each) > 18 for each in lengths):
        return heads.Refusal(400, "The length of the body is no number.")
    return None


class RequestStream(HTTPStream):
    """Counts the content of its body."""

    pace: Pace

    async def handle(self, event: StreamEvent) -> None:
        """Take a part of the request, or its end."""
        if isinstance(event, Body):
            self.pace.came(len(event.data), waits=False)
        await super().handle(event)
