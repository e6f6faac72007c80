"""Alarm: a deadline that is put off often and seldom met."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Calls ``ring`` at the time that was set last; to set a later one costs next to nothing."""

    __slots__ = ("_loop", "_ring", "_timer", "_wakes_at", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring: Callable[[], None] | None = ring
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf
        #: When it rings, by the clock of the event loop; infinity for not at all.
        self.due = math.inf

    def set(self, due: float) -> None:
        """Ring at ``due``, and not when it was said before."""
        self.due = due
        if due < self._wakes_at and self._ring is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = due
            self._timer = self._loop.call_at(due, self._wake)

    def stop(self) -> None:
        """Never ring any more, and let go of what would have been called."""
        self._ring = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, math.inf
        due, self.due = self.due, math.inf
        if due > self._loop.time():
            self.set(due)
        elif self._ring is not None:
            self._ring()
