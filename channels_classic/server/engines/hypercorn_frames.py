"""What the engine hypercorn, with wsproto 1.3, leaves open about frames and offers."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from wsproto.events import Message, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, Opcode, RsvBits
from wsproto.handshake import server_extensions_handshake

if TYPE_CHECKING:
    from channels_classic.server.options import Limits

_OFFERS = (b"sec-websocket-protocol", b"sec-websocket-extensions")


class Fragments:
    """The message that a client is sending."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._start()

    def _start(self) -> None:
        self._content: StringIO | BytesIO | None = None
        self._size = self._fragments = 0

    def add(self, event: Message[Any]) -> bool:
        """Add a fragment or a part of one; whether the message is still allowed."""
        if self._content is None:
            self._content = StringIO() if isinstance(event, TextMessage) else BytesIO()
        data: Any = event.data
        self._size += len(data) if isinstance(data, (bytes, bytearray)) else len(data.encode())
        self._fragments += event.frame_finished
        if self._size > self._limits.max_message_size or (
            self._fragments > self._limits.max_fragments
        ):
            self._start()
            return False
        self._content.write(data)
        return True

    def take(self) -> dict[str, Any]:
        """The ASGI event of the message, which is complete."""
        content = self._content.getvalue() if self._content is not None else b""
        self._start()
        kind = "text" if isinstance(content, str) else "bytes"
        return {"type": "websocket.receive", kind: content}


class Claims(Extension):
    """Refuses a frame whose head says that it is longer than a message may be."""

    name = "claims"

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_message_size

    def enabled(self) -> bool:
        """Always: the client is not asked."""
        return True

    def offer(self) -> bool | str:
        """Nothing, as a server."""
        return False

    def frame_inbound_header(
        self, proto: Any, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Look at the head of a frame; the bits are for other extensions."""
        if payload_length > self._most and not opcode.iscontrol():
            return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(False, False, False)


def agree(offers: list[str]) -> tuple[bytes, Extension] | None:
    """What to answer to those who offer to compress, and what does it."""
    deflate = PerMessageDeflate()
    try:
        accepted = server_extensions_handshake(offers, [deflate])
    except ValueError:  # an offer with a number that is none
        return None
    return (accepted, deflate) if accepted else None


def readable(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Offers that are not ASCII are none: nobody can have meant them."""
    return [(name, _ascii(value) if name in _OFFERS else value) for name, value in headers]


def _ascii(value: bytes) -> bytes:
    return b",".join(each for each in value.split(b",") if each.isascii())
