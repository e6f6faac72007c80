"""How processes are asked to stop: the first signal asks, the second insists."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_stop(
    stop: Callable[[], None],
    *,
    wanted: bool = True,
    at_once: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """The first SIGTERM or SIGINT calls ``stop``, a second ``at_once``, and ends the process.

    The handlers that were there before come back when the block ends. Signals can only be had in
    the main thread: elsewhere, or when not ``wanted``, the block just runs.
    """
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = threading.Event()

    def handler(number: int, frame: object) -> None:
        if asked.is_set():
            at_once()
            os._exit(128 + number)
        asked.set()
        stop()

    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)  # None: set by C code
