"""Duty: what a server process is doing and has done, as it reports to those who run the site."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any


class Duty:
    """Its connections count themselves."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        #: Requests so far, and those that are being answered.
        self.requests = self.answering = 0
        #: Sockets that are open, and the messages that all sockets have sent so far.
        self.sockets = self.received = 0
        #: Event streams that are open.
        self.streams = 0
        self._clock = clock
        self._began = clock()

    def report(self) -> dict[str, Any]:
        """What there is to say; durations are in seconds."""
        return {
            "kind": "server",
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "uptime": self._clock() - self._began,
            "requests": self.requests,
            "answering": self.answering,
            "sockets": self.sockets,
            "received": self.received,
            "streams": self.streams,
        }
