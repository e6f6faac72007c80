"""Ends the private server of a folder once no process uses it: run as a script, by LocalServer.

It is a process of its own that needs nothing but Python: those that use the server may be killed
at any time, and the system then lets go of their locks. Two locks are in play: whoever uses the
server shares that of the folder, and the one keeper has that of ``keeper``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
import time

#: How long the server may take to end, in seconds.
ENDING = 5.0


def main(folder: str, linger: str) -> None:
    """Go into the background, unless there is a keeper already, and keep ``folder``."""
    keeper = os.open(os.path.join(folder, "keeper"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(keeper, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if os.fork():  # the lock goes on with the child, and nobody has to wait for that one
        return
    os.setsid()
    keep(folder, float(linger))
    # The system lets go of locks in any order, and that of the folder lasts as long as we do: who
    # has waited for that one must not take us for a keeper that goes on.
    fcntl.flock(keeper, fcntl.LOCK_UN)


def keep(folder: str, linger: float) -> None:
    """Wait until nobody has used the server of ``folder`` for ``linger`` seconds, then end it."""
    users = os.open(folder, os.O_RDONLY)
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)  # waits for the last of those that share it
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(linger)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
    # The lock is held to the end: who comes meanwhile waits, and starts a new server.
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(users), os.stat(folder)):  # else it is another's by now
            end_server(os.path.join(folder, "redis.sock"))


def end_server(path: str) -> None:
    """Ask the server at the socket ``path`` to end, and wait for it."""
    with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
        link.settimeout(ENDING)
        link.connect(path)
        link.sendall(b"SHUTDOWN NOSAVE\r\n")
        while link.recv(1024):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
