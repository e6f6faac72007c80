"""WebSocket clients, written for speed: frames built by hand on a bare ``asyncio.Protocol``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

#: The key and the answer that belong together (RFC 6455 section 1.3).
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pplmbitxaq9kygzzhzrbk+xoo="
CLOSE_1000 = b"\x88\x82\x00\x00\x00\x00\x03\xe8"


class Refused(Exception):
    """The handshake was not answered with 101 and the right key."""


def text_frame(text: bytes) -> bytes:
    """A client's text frame of fewer than 126 bytes, masked with zero: nothing to apply."""
    return b"\x81" + bytes((0x80 | len(text),)) + b"\x00\x00\x00\x00" + text


class Socket(asyncio.Protocol):
    """One WebSocket: ``opened`` when accepted, then ``text_received`` for each text frame."""

    def __init__(self, host: str, path: str) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.close_code: int | None = None
        self._request = _handshake(host, path)
        self._buffer = b""
        self._open = False
        self.write: Callable[[bytes], None] = _not_connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.write = self.transport.write
        self.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Refused(f"connection lost: {exc}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        # One whole short text frame, nothing before it: what nearly always arrives.
        if self._open and not self._buffer and data[0] == 0x81 and data[1] == len(data) - 2:
            self.text_received(data[2:])
            return
        self._buffer += data
        if not self._open and not self._read_handshake():
            return
        self._read_frames()

    def text_received(self, text: bytes) -> None:
        """A text frame arrived; to be overridden."""

    async def close(self, within: float = 10) -> None:
        """Close with 1000 and wait until the server has closed the connection."""
        if not self.transport.is_closing():
            self.write(CLOSE_1000)
        await asyncio.wait([self.closed], timeout=within)
        self.transport.abort()

    def _read_handshake(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 ") or ACCEPT not in head.lower():
            if not self.opened.done():
                self.opened.set_exception(Refused(head.partition(b"\r\n")[0].decode("latin1")))
            self.transport.abort()
            return False
        self._buffer, self._open = rest, True
        self.opened.set_result(None)
        return True

    def _read_frames(self) -> None:
        buffer, at = self._buffer, 0
        while (found := _frame(buffer, at)) is not None:
            opcode, payload, at = found
            if opcode == 1:
                self.text_received(payload)
            elif opcode == 8:
                self.close_code = int.from_bytes(payload[:2], "big")
                self.write(CLOSE_1000)
            elif opcode == 9:
                self.write(b"\x8a" + text_frame(payload)[1:])
        self._buffer = buffer[at:]


Kind = TypeVar("Kind", bound=Socket)


class Crowd(Generic[Kind]):
    """Many sockets to one server."""

    def __init__(self, port: int, build: Callable[[str, str], Kind], path: str) -> None:
        self.port, self.path, self._build = port, path, build
        self.sockets: list[Kind] = []

    async def open_one(self) -> Kind:
        """One more socket, accepted; raises ``Refused``."""
        host = f"127.0.0.1:{self.port}"
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: self._build(host, self.path), "127.0.0.1", self.port
        )
        await asyncio.wait_for(asyncio.shield(socket.opened), 20)
        return socket

    async def open(self, count: int, at_once: int = 32) -> None:
        """Open ``count`` more, ``at_once`` handshakes at a time."""
        left = iter(range(count))

        async def keep_opening() -> None:
            for _ in left:
                self.sockets.append(await self.open_one())

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(at_once, count)):
                tasks.create_task(keep_opening())

    async def close(self) -> None:
        """Close them all."""
        sockets, self.sockets = self.sockets, []
        await asyncio.gather(*(socket.close() for socket in sockets))


async def until(true: Callable[[], bool], *, within: float, step: float = 0.01) -> bool:
    """Wait until ``true()``; whether it became so before ``within`` seconds were over."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(step)
    return True


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that ``percent`` of ``values`` do not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def _frame(buffer: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Opcode, payload and end of the unmasked frame at ``at``, or None while it is not whole."""
    if len(buffer) < at + 2:
        return None
    length, start = buffer[at + 1], at + 2
    if length > 125:
        size = 2 if length == 126 else 8
        if len(buffer) < start + size:
            return None
        length, start = int.from_bytes(buffer[start : start + size], "big"), start + size
    if len(buffer) < start + length:
        return None
    return buffer[at] & 15, buffer[start : start + length], start + length


def _handshake(host: str, path: str) -> bytes:
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Origin: http://{host}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    )
    return head.encode() + KEY + b"\r\n\r\n"


def _not_connected(data: bytes) -> None:
    raise ConnectionError("not connected")
