"""Inheritance: what a server process has from the parent that started it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence

#: The variable of the environment in which a process finds the numbers of its descriptors.
VARIABLE = "CHANNELS_CLASSIC_PROCESS"


class Inheritance:
    """Descriptors: ``life`` ends when the process shall, ``news`` tells the parent that it serves.

    The parent has the other ends of these two; ``listening`` are the sockets of both.
    """

    def __init__(
        self, life: int, news: int, listening: Sequence[int], *, speaks: bool = False
    ) -> None:
        self._life = life
        self._news = news
        self._listening = listening
        #: Whether it is the first of its parent, which says what all of them have in common.
        self.speaks = speaks

    @classmethod
    def claim(cls) -> Inheritance | None:
        """What the environment says there is; not for processes that this one starts."""
        text = os.environ.pop(VARIABLE, "")
        if not text:
            return None
        signal.signal(signal.SIGHUP, lambda number, frame: None)  # it is the parent's to obey
        speaks, life, news, *listening = map(int, text.split())
        for each in (life, news, *listening):
            os.set_inheritable(each, False)
        return cls(life, news, listening, speaks=bool(speaks))

    def to_text(self, *, speaks: bool) -> str:
        """For the environment of the process."""
        return " ".join(map(str, (int(speaks), *self.descriptors)))

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that the process must be started with."""
        return (self._life, self._news, *self._listening)

    def sockets(self) -> list[socket.socket]:
        """The listening sockets."""
        return [socket.socket(fileno=each) for each in self._listening]

    def say_ready(self) -> None:
        """Tell the parent that this process serves."""
        os.write(self._news, b"r")

    def watch(self, stop: Callable[[], None]) -> None:
        """Call ``stop``, from another thread, when the parent says so or is no more."""

        def wait() -> None:
            os.read(self._life, 1)
            stop()

        threading.Thread(target=wait, name="parent", daemon=True).start()
