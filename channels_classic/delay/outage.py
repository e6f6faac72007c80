"""Outage: how a worker waits for a database that does not answer."""

from __future__ import annotations

import logging

from django.db import close_old_connections

from channels_classic.backoff import Backoff

logger = logging.getLogger("channels_classic.delay")


class Outage:
    """Growing pauses, and one log line for each end of an outage. Each thread has its own."""

    def __init__(self, consequence: str) -> None:
        self._consequence = consequence
        self._backoff: Backoff | None = None

    def failed(self, error: Exception) -> float:
        """How long to wait before the next attempt, in seconds; broken connections are closed."""
        close_old_connections()
        if self._backoff is None:
            self._backoff = Backoff(logger, self._consequence)
        return self._backoff.failed(error)

    def worked(self) -> None:
        """The database answers."""
        if self._backoff is not None:
            self._backoff = None
            logger.info("The database answers again.")
