"""What the tasks of all contestants do: nothing, or wait; each run leaves a record in a file."""

from __future__ import annotations

import os
import time

from benchmarks.sites.tasks.record import RECORD

#: How long ``pause`` waits, in seconds.
PAUSE = 0.005

# Appends of a few bytes are never torn or mixed, and cost a task about a microsecond.
_file = os.open(os.environ["BENCH_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_now = time.monotonic_ns


def nothing(number: int, sent: int) -> None:
    """The shortest task."""
    started = _now()
    os.write(_file, RECORD.pack(number, sent, started, started, os.getpid()))


def pause(number: int, sent: int) -> None:
    """A task that waits, as for a database."""
    started = _now()
    time.sleep(PAUSE)
    os.write(_file, RECORD.pack(number, sent, started, _now(), os.getpid()))
