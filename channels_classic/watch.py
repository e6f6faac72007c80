"""The thread that looks at what runs long: time limits, and messages that wait behind it."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable
from math import inf
from typing import Protocol, Self

from channels_classic.exceptions import TimeLimitExceeded

logger = logging.getLogger("channels_classic.worker")

#: The pause between two looks while there is something to look at, in seconds.
TICK = 0.02
#: After so many seconds with nothing to look at, the thread sleeps until it is woken.
LINGER = 1.0
#: The longest sleep, in seconds; longer ones are cut into pieces.
_LONGEST = 3600.0


class Watched(Protocol):
    """What is looked at."""

    def look(self, now: float) -> float | None:
        """Do what is due; seconds until the next look, None when there is nothing to wait for."""


class Watch:
    """Looks at each of ``watched`` while its ``with`` block runs."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.watched: list[Watched] = []
        self._clock = clock
        self._ended = False
        self._rests = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended = True
        self._woken.set()
        self._thread.join()

    def wake(self) -> None:
        """There is something to look at; next to nothing while the thread is awake."""
        if self._rests:
            self._woken.set()

    def _run(self) -> None:
        busy_until = 0.0
        while not self._ended:
            pause = self._look()
            if pause is not None and pause <= TICK:
                busy_until = self._clock() + LINGER
            if self._clock() < busy_until:
                time.sleep(TICK)
            else:
                self._rest()

    def _rest(self) -> None:
        self._woken.clear()
        self._rests = True
        pause = self._look()  # for what began before it could see that this thread rests
        if not self._ended and (pause is None or pause > TICK):
            self._woken.wait(_LONGEST if pause is None else min(pause, _LONGEST))
        self._rests = False

    def _look(self) -> float | None:
        pauses = []
        for each in list(self.watched):
            try:
                pauses.append(each.look(self._clock()))
            except Exception:  # a mistake with one must not end the care for the others
                logger.exception("Error in the watch over a worker thread")
                pauses.append(LINGER)
        return min((pause for pause in pauses if pause is not None), default=None)


class TimeLimit:
    """Raises ``TimeLimitExceeded`` in the thread that is in the ``with`` block for too long.

    The thread that calls ``look`` raises it, at most once, and never after the block has ended.
    """

    def __init__(
        self, wake: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._deadline = inf
        self._thread = 0
        self._raised = False

    def of(self, seconds: float) -> Self:
        """This, as the context manager of a block that may take ``seconds``."""
        self._seconds = seconds
        return self

    def __enter__(self) -> None:
        with self._lock:
            self._thread = threading.get_ident()
            self._raised = False
            self._deadline = self._clock() + self._seconds
        self._wake()

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._deadline = inf
            if self._raised:  # and perhaps not yet arrived: it must not hit what comes next
                _raise_in(self._thread, None)

    def look(self, now: float) -> float | None:
        """Raise if it is time; seconds until then, None when there is nothing to wait for."""
        if self._deadline == inf:
            return None
        with self._lock:
            left = self._deadline - now
            if left <= 0:
                self._deadline = inf
                self._raised = True
                _raise_in(self._thread, TimeLimitExceeded)
        return left if 0 < left < inf else None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise ``error`` where the thread is in Python code; None takes back one not yet raised."""
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
