"""Rate: how often a client may do something."""

from __future__ import annotations


class Rate:
    """So many in a second, and no more than a second's worth at once.

    What was not used in the seconds before is saved up to that. A client has one or two of these,
    so that they are small.
    """

    __slots__ = ("_at", "_left", "_per_second")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._left = self._most
        self._at = now

    @property
    def _most(self) -> float:
        return max(self._per_second, 1.0)  # less than one at once would be none ever

    def allows(self, now: float) -> bool:
        """Whether one more is allowed at ``now``, seconds of a clock that never goes back."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
