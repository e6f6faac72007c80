"""Pace: how fast the body of a request comes, and how much comes that is none of it."""

from __future__ import annotations

import math

#: How long a body may be as slow as it likes, in seconds.
GRACE = 20.0
#: For each byte of content, so many may come that are none: sizes of chunks, and line ends.
_BESIDE = 16


class Pace:
    """Measures one body after the other. ``rate`` is the slowest, in bytes a second; 0: none is."""

    __slots__ = ("_content", "_has_waited", "_measured", "_rate", "_since", "raw")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.begin()

    def begin(self) -> None:
        """A body begins."""
        self._since: float | None = None
        self._content = self._measured = 0
        self._has_waited = False
        #: All that has come, with extensions of chunks and trailers.
        self.raw = 0

    def came(self, size: int, *, waits: bool) -> None:
        """So many bytes of content came; ``waits`` if no more are read for now."""
        self._content += size
        self._has_waited = self._has_waited or waits

    def is_padded(self, limit: int) -> bool:
        """Whether more than ``limit`` bytes are neither content nor needed for it."""
        return self.raw > limit + self._content * (1 + _BESIDE)

    def due(self, now: float) -> float:
        """When the body is too slow, unless more has come by then.

        Where the client had to wait, it begins anew.
        """
        if not self._rate:
            return math.inf
        if self._since is None or self._has_waited:
            self._since, self._measured, self._has_waited = now, self._content, False
        return self._since + GRACE + (self._content - self._measured) / self._rate
