"""What consumers did, line by line in one file: in the order in which it happened.

Appending a line is one system call that the kernel does not mix with others, of any process. A
line that was written stays, also when its writer is killed at once.
"""

from __future__ import annotations

import os
import time

from django.conf import settings

_file = os.open(settings.JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def write(what: str, who: object, number: object = 0) -> None:
    """One line: the time, this process, what happened, to whom or what, and a number."""
    os.write(_file, f"{time.monotonic():.6f} {os.getpid()} {what} {who} {number}\n".encode())
