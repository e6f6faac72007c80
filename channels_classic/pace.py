"""How many messages a worker takes at once."""

from __future__ import annotations

#: Messages taken at once at most, and the time that a batch should take, in seconds.
LARGEST_BATCH = 8
BATCH_TIME = 0.01


class Pace:
    """Small batches for slow consumers, so that nobody waits behind them; larger for fast ones."""

    def __init__(self) -> None:
        self._average = BATCH_TIME

    def took(self, seconds: float) -> None:
        """One consumer ran for ``seconds``."""
        self._average += (seconds - self._average) * (0.5 if seconds > self._average else 0.1)

    @property
    def limit(self) -> int:
        """How many messages to take next."""
        if self._average * LARGEST_BATCH <= BATCH_TIME:
            return LARGEST_BATCH
        return max(1, int(BATCH_TIME / self._average))
