"""A small client of HTTP/2, and of WebSockets over it: every step by hand, on one connection."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, TextMessage

Headers = list[tuple[str, str]]

_GOAWAY = 7


class Client:
    """One connection. ``reads`` says whether it opens windows for what it is sent."""

    def __init__(self, sock: socket.socket, *, reads: bool = True) -> None:
        self.sock = sock
        self.reads = reads
        # The client may do what no client should.
        config = h2.config.H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.events: list[h2.events.Event] = []
        #: The codes of the GOAWAYs that came; the library would hear nothing more after one.
        self.goaways: list[int] = []
        self._rest = b""
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        self.sock.sendall(self.h2.data_to_send())

    def ask(self, path: str, *headers: tuple[str, str], method: str = "GET", end: bool = True):
        """Begin a request; its stream."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http")]
        self.h2.send_headers(stream, [*head, (":authority", "localhost"), *headers], end_stream=end)
        self.flush()
        return stream

    def upload(self, stream: int, body: bytes, *, end: bool = True) -> None:
        """A part of the body of a request, or the ``end``, as fast as the server takes it."""
        while body:
            self.until(lambda: self.h2.local_flow_control_window(stream) > 0)
            size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            part, body = body[:size], body[size:]
            self.h2.send_data(stream, part, end_stream=end and not body)
            self.flush()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Read until ``condition()`` is true; ``AssertionError`` if the connection ends before."""
        while not (found := condition()):
            assert self.read(), f"the server has closed the connection: {self.events}"
        return found

    def read(self) -> bool:
        """Take what the server sends; False when it has closed the connection."""
        data = self.sock.recv(65536)
        if not data:
            return False
        for event in self.h2.receive_data(self._without_goaways(data)):
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived) and self.reads:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return True

    def _without_goaways(self, data: bytes) -> bytes:
        """The complete frames that there are, but for those."""
        self._rest += data
        frames = b""
        while len(self._rest) >= 9:
            size = 9 + int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < size:
                break
            frame, self._rest = self._rest[:size], self._rest[size:]
            if frame[3] == _GOAWAY:
                self.goaways.append(int.from_bytes(frame[13:17], "big"))
            else:
                frames += frame
        return frames

    def read_all(self) -> None:
        """Until the server closes the connection."""
        while self.read():
            pass

    def of(self, kind: type[h2.events.Event], stream: int | None = None) -> list[Any]:
        """The events of a kind so far, of one stream or of all."""
        found = [each for each in self.events if isinstance(each, kind)]
        return [each for each in found if stream is None or each.stream_id == stream]

    def head(self, stream: int) -> dict[str, str]:
        """The head of the answer."""
        [answer] = self.until(lambda: self.of(h2.events.ResponseReceived, stream))
        return dict(answer.headers)

    def answer(self, stream: int) -> tuple[str, bytes]:
        """Status and body of the complete answer."""
        status = self.head(stream)[":status"]
        self.until(lambda: self.of(h2.events.StreamEnded, stream))
        return status, self.body(stream)

    def body(self, stream: int) -> bytes:
        """What has come of it."""
        return b"".join(each.data for each in self.of(h2.events.DataReceived, stream))

    def fetch(self, path: str, *headers: tuple[str, str], method: str = "GET") -> tuple[str, bytes]:
        """Ask, and wait for the answer."""
        return self.answer(self.ask(path, *headers, method=method))

    def reset_code(self, stream: int) -> int:
        """The code by which the server resets the stream."""
        [event] = self.until(lambda: self.of(h2.events.StreamReset, stream))
        return int(event.error_code)

    def goaway_code(self) -> int:
        """The code of the last GOAWAY, when the server has closed the connection."""
        with contextlib.suppress(ConnectionResetError):
            self.read_all()
        return self.goaways[-1]


class Socket:
    """A WebSocket on a stream of its own (RFC 8441)."""

    def __init__(
        self,
        client: Client,
        path: str = "/echo",
        *headers: tuple[str, str],
        protocol: str = "websocket",
    ) -> None:
        self.client = client
        version = ("sec-websocket-version", "13")
        self.stream = self._ask(path, [(":protocol", protocol), version, *headers])
        self.head = client.head(self.stream)
        self._frames = Connection(ConnectionType.CLIENT)
        self._seen = 0

    def _ask(self, path: str, headers: Headers) -> int:
        stream = self.client.h2.get_next_available_stream_id()
        head = [(":method", "CONNECT"), *headers[:1], (":scheme", "http"), (":path", path)]
        self.client.h2.send_headers(
            stream, [*head, (":authority", "localhost"), *headers[1:]], end_stream=False
        )
        self.client.flush()
        return stream

    def send(self, message: str | bytes) -> None:
        """One message."""
        kind = TextMessage if isinstance(message, str) else BytesMessage
        self.client.upload(self.stream, self._frames.send(kind(data=message)), end=False)

    def close(self, code: int) -> None:
        """A close frame."""
        self.client.upload(self.stream, self._frames.send(CloseConnection(code=code)), end=False)

    def message(self) -> str | bytes:
        """The next message of the server."""
        parts: list[Any] = []
        for event in self._events():
            assert isinstance(event, Message), event
            parts.append(event.data)
            if event.message_finished:
                return parts[0][:0].join(parts)
        raise AssertionError("the stream ended")

    def close_code(self) -> int:
        """The code by which the server closes."""
        for event in self._events():
            if isinstance(event, CloseConnection):
                return int(event.code)
        raise AssertionError("the stream ended")

    def _events(self) -> Iterator[Event]:
        while True:
            yield from self._frames.events()
            self.client.until(lambda: len(self.client.body(self.stream)) > self._seen)
            data = self.client.body(self.stream)[self._seen :]
            self._seen += len(data)
            self._frames.receive_data(data)
