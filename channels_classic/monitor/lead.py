"""The lead: of all worker processes one at a time sends the frames and records the history."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from channels_classic.exceptions import LayerUnavailable

#: Seconds of one term. Who leads asks for the next one before it begins; if it dies, another one
#: leads after two terms at most.
TERM = 3.0
#: What is claimed, followed by the number of the term.
NAME = "channels_classic.monitor.lead"


class Lead:
    """Whether this process leads, by what ``claim(name, seconds)`` of the bus says.

    Terms are counted by the clock of the machine: clocks that differ by more than a second or so
    may have two processes lead for a while, which send the same.
    """

    def __init__(
        self, claim: Callable[[str, float], bool], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._claim = claim
        self._clock = clock
        self._won: dict[int, bool] = {}

    def is_mine(self) -> bool:
        """Whether this process leads now; the bus is asked once in a term.

        Raises ``LayerUnavailable`` when it is not known whose this term is.
        """
        now = self._clock()
        term = int(now // TERM)
        self._won = {each: won for each, won in self._won.items() if each >= term}
        is_mine = self._ask(term)
        if is_mine and now % TERM >= TERM / 2:
            with suppress(LayerUnavailable):  # this term is good; the next turn asks again
                self._ask(term + 1)
        return is_mine

    def _ask(self, term: int) -> bool:
        if term not in self._won:
            self._won[term] = self._claim(f"{NAME}.{term}", 3 * TERM)
        return self._won[term]
