"""Frames: what comes from one WebSocket, and what websockets 17 leaves open about it."""

from __future__ import annotations

import codecs
import logging
import time
from collections.abc import Generator, Sequence

from websockets.exceptions import ProtocolError
from websockets.extensions import ServerExtensionFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from channels_classic.server.options import Limits
from channels_classic.server.rate import Rate

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_Decoder = codecs.getincrementaldecoder("utf-8")


class Frames(ServerProtocol):
    """Stops at the first frame that breaks a limit or is not UTF-8; the ``data`` of text is a str.

    ``close_sent`` then has the close code: 1009 for a message that is too large or in too many
    fragments, 1008 for too many pings and pongs, 1007 for what is not UTF-8, 1002 for the rest. The
    events before are good.
    """

    #: The fragments so far of the message that is under way, and how to read on in its text.
    _fragments = 0
    _decoder: codecs.IncrementalDecoder | None = None
    _controls: Rate | None = None

    def __init__(
        self,
        limits: Limits,
        extensions: Sequence[ServerExtensionFactory] | None,
        logger: logging.Logger,
    ) -> None:
        super().__init__(extensions=extensions, max_size=limits.max_message_size, logger=logger)
        self._limits = limits

    def parse(self) -> Generator[None]:
        """Frames from the first byte on: the engine has read the head of the request."""
        return Protocol.parse(self)

    def process_subprotocol(self, headers: object) -> Subprotocol | None:
        """None: the application chooses, and what cannot be a subprotocol is no error."""
        return None

    def recv_frame(self, frame: Frame) -> None:
        """Take one frame of the client; ``UnicodeDecodeError`` or ``ProtocolError`` fail it."""
        opcode = frame.opcode
        if opcode in _DATA:
            self._fragments = self._fragments + 1 if opcode is Opcode.CONT else 1
            if self._fragments > self._limits.max_fragments:
                return self._refuse(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        elif opcode is Opcode.CLOSE:
            self.current_size = None  # it may come amid a message, which is then given up
        elif not self._may_control():
            return self._refuse(CloseCode.POLICY_VIOLATION, "too many pings")
        super().recv_frame(frame)
        if opcode is Opcode.TEXT or (self._decoder is not None and opcode is Opcode.CONT):
            self._decode(frame)
        return None

    def _may_control(self) -> bool:
        now = time.monotonic()
        if self._controls is None:
            self._controls = Rate(self._limits.control_rate, now)
        return self._controls.allows(now)

    def _refuse(self, code: CloseCode, reason: str) -> None:
        self.fail(code, reason)
        self.parser_exc = ProtocolError(reason)

    def _decode(self, frame: Frame) -> None:
        """Fail at the first fragment that is wrong, and not when the message is complete."""
        try:
            if frame.opcode is Opcode.TEXT and frame.fin:
                text = str(frame.data, "utf-8")
            else:
                self._decoder = self._decoder or _Decoder()
                text = self._decoder.decode(bytes(frame.data), frame.fin)
        except UnicodeDecodeError:
            self.events.pop()
            raise
        frame.data = text  # type: ignore[assignment] # SocketProtocol alone looks at it
        if frame.fin:
            self._decoder = None
