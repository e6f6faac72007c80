"""What a server process reports of itself."""

from __future__ import annotations

import os
import socket

from channels_classic.server.duty import Duty


def test_a_server_says_who_it_is_and_what_it_has_done():
    now = [100.0]
    duty = Duty(clock=lambda: now[0])
    duty.requests, duty.answering, duty.sockets, duty.received = 5, 1, 2, 9
    duty.streams = 3
    now[0] = 107.5
    assert duty.report() == {
        "kind": "server",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "uptime": 7.5,
        "requests": 5,
        "answering": 1,
        "sockets": 2,
        "received": 9,
        "streams": 3,
    }
