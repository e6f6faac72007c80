"""Growing pauses while the bus does not answer, and one log line for each outage."""

from __future__ import annotations

import logging
import random

#: The first and the longest pause, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class Backoff:
    """``consequence`` says in the log what does not work meanwhile."""

    def __init__(self, logger: logging.Logger, consequence: str) -> None:
        self._logger = logger
        self._consequence = consequence
        self._pause = 0.0

    def failed(self, error: Exception) -> float:
        """How long to wait before the next attempt, in seconds; some chance is in it."""
        if not self._pause:
            self._logger.error("%s: %s. Trying again until it does.", self._consequence, error)
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
        return self._pause * random.uniform(0.75, 1.0)

    def worked(self) -> None:
        """The bus answers."""
        if self._pause:
            self._pause = 0.0
            self._logger.info("The channel layer answers again.")
