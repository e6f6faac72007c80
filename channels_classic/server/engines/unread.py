"""Unread: a client that reads nothing of what waits for it is not waited for."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Callable


class Unread:
    """Calls ``cut`` when the client reads nothing for ``timeout`` seconds, while something waits.

    A slow client is no such client: what the kernel holds for it counts too, where it tells.
    """

    __slots__ = ("_cut", "_loop", "_size", "_timeout", "_timer", "_transport")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        *,
        timeout: float,
        cut: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._timeout = timeout
        self._cut: Callable[[], None] | None = cut
        self._timer: asyncio.TimerHandle | None = None
        self._size = 0

    def begin(self) -> None:
        """Something waits."""
        if self._timer is None and self._cut is not None:
            self._size = unread(self._transport)
            self._timer = self._loop.call_later(self._timeout, self._check)

    def end(self) -> None:
        """What waited is gone, or may be written on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """Watch no more, and let go of what would have been called."""
        self.end()
        self._cut = None

    def _check(self) -> None:
        self._timer = None
        before, self._size = self._size, unread(self._transport)
        if self._cut is not None and self._size >= before:
            self._cut()
        else:
            self._timer = self._loop.call_later(self._timeout, self._check)


def unread(transport: asyncio.Transport) -> int:
    """Bytes that the other end has not taken: those that wait here, and those in the kernel."""
    size: int = transport.get_write_buffer_size()
    try:
        number = transport.get_extra_info("socket").fileno()
        [kernel] = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
    except (AttributeError, OSError, ValueError):  # it is gone, or the system does not tell
        return size
    return size + int(kernel)


def reset(transport: asyncio.Transport) -> None:
    """Cut the connection: what the other end has not taken is thrown away, in the kernel too.

    An ordinary close would leave it there for many minutes.
    """
    with contextlib.suppress(AttributeError, OSError):  # it is gone, or no TCP
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()
