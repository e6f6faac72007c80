"""Growing pauses while the bus does not answer, and one log line for each outage."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

#: The first and the longest pause, in seconds: who waits goes on soon after the bus is back.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


def growing_pauses(first: float, longest: float) -> Iterator[float]:
    """``first``, then twice as long each time up to ``longest``, without end; in seconds."""
    pause = first
    while True:
        yield min(pause, longest)
        pause = min(pause * 2, longest)


class Backoff:
    """``consequence`` says in the log what does not work meanwhile."""

    def __init__(self, logger: logging.Logger, consequence: str) -> None:
        self._logger = logger
        self._consequence = consequence
        self._pauses: Iterator[float] | None = None

    def failed(self, error: Exception) -> float:
        """How long to wait before the next attempt, in seconds; some chance is in it."""
        if self._pauses is None:
            self._logger.error("%s: %s. Trying again until it does.", self._consequence, error)
            self._pauses = growing_pauses(FIRST_PAUSE, LONGEST_PAUSE)
        return next(self._pauses) * random.uniform(0.75, 1.0)

    def worked(self) -> None:
        """The bus answers."""
        if self._pauses is not None:
            self._pauses = None
            self._logger.info("The channel layer answers again.")
