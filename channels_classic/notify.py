"""Notify: tells the supervisor that has started this process, such as systemd, that it is ready."""

from __future__ import annotations

import contextlib
import os
import socket

#: The variable that names the socket to tell it on.
VARIABLE = "NOTIFY_SOCKET"


def say_ready() -> None:
    """Say it, if somebody wants to hear it: systemd does with ``Type=notify``."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):  # in the abstract namespace
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.sendto(b"READY=1", address)
