"""Keys of a terminal, one by one."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_by_one() -> Iterator[None]:
    """In the block keys come at once, and are not shown."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def pressed(timeout: float) -> str:
    """The key that is pressed within ``timeout`` seconds, or an empty text."""
    ready, _, _ = select.select([sys.stdin], [], [], max(0, timeout))
    return os.read(sys.stdin.fileno(), 1).decode("ascii", "replace") if ready else ""
