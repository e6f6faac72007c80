"""Looks at the bus for the live page, and remembers what it saw for some seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from channels_classic.layers.counters import Counter
from channels_classic.monitor import history
from channels_classic.monitor.frame import Row, channel_rows, frame, letter_row, matching
from channels_classic.monitor.limits import Limits
from channels_classic.monitor.rates import Snapshot, rates
from channels_classic.monitor.snapshot import snapshot

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

#: Rates are those of the last seconds: workers count what they completed once a second. What was
#: seen longer ago than ``MEMORY`` seconds is no measure of what goes on now.
WINDOW, MEMORY = 5.0, 30.0
#: How long a list of dead letters is good for while their number stays the same, in seconds.
LETTERS_LAST = 10.0
#: Dead letters that are looked through for a text.
_SEARCHED = 200
#: Channels that are asked for their delayed messages: those with the first ones due.
_DELAYING = 10


class Looker:
    """What one process sees of the bus of ``layer``. Thread-safe."""

    def __init__(
        self,
        layer: ChannelLayerWrapper,
        limits: Limits,
        *,
        take: Callable[..., Snapshot] = snapshot,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.layer = layer
        self.limits = limits
        self._take = take
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: deque[tuple[float, Snapshot]] = deque()
        self._letters: list[Row] = []
        self._letters_of: tuple[object, float] = (None, 0.0)

    def look(self) -> Snapshot:
        """A new snapshot, which is remembered. Raises ``LayerUnavailable``."""
        channels = sorted(self.layer.router.channels)
        found = self._take(self.layer.channel_layer, channels)
        with self._lock:
            now = self._clock()
            self._seen.append((now, found))
            while now - self._seen[0][0] > MEMORY or self._has_older(now):
                self._seen.popleft()
        return found

    def _has_older(self, now: float) -> bool:
        """Whether the second oldest snapshot is old enough to compare with."""
        return len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW

    def _before(self) -> Snapshot | None:
        with self._lock:
            return self._seen[0][1] if len(self._seen) > 1 else None

    # What is shown ------------------------------------------------------------------------

    def frame(self, found: Snapshot) -> dict[str, Any]:
        """What the page shows of the snapshot that was taken last. Raises as ``look``."""
        letters = self._dead_letters(found) if found["dead"] else []
        flow = rates(self._before(), found)
        return frame(found, flow, letters, self._delayed(found), self.limits)

    def opening(self) -> dict[str, Any]:
        """All that a page begins with: a frame, and the points of the chart. Raises as ``look``."""
        found = self.look()
        samples = self.layer.channel_layer.ledger.recorded(self.limits.samples)
        since = found["time"] - self.limits.history
        points = history.points(samples, since=since)
        return {"frame": self.frame(found), "history": points}

    def find(self, text: str) -> dict[str, Any]:
        """The channels that ``text`` is found in, and those of the newest dead letters."""
        found, wanted = self.look(), text.casefold()
        channels = channel_rows(found, rates(self._before(), found), text=wanted)
        dead = self.layer.channel_layer.ledger.newest_dead(_SEARCHED)
        letters = matching(map(letter_row, dead), wanted)
        return {
            "text": text,
            "channels": channels[: self.limits.channels],
            "channels_total": len(channels),
            "letters": letters[: self.limits.dead],
            "letters_total": len(letters),
        }

    # What a snapshot does not have ----------------------------------------------------------

    def _dead_letters(self, found: Snapshot) -> Sequence[Row]:
        """Read again only when there are others, or it was long ago: they may be large."""
        died = sum(each["counts"].get(Counter.DEAD, 0) for each in found["channels"])
        which, now = (found["dead"], died), self._clock()
        if self._letters_of[0] != which or now - self._letters_of[1] > LETTERS_LAST:
            letters = self.layer.channel_layer.ledger.newest_dead(self.limits.dead)
            self._letters = list(map(letter_row, letters))
            self._letters_of = (which, now)
        return self._letters

    def _delayed(self, found: Snapshot) -> list[Row]:
        """The messages that are due next."""
        delaying = [each for each in found["channels"] if each["delayed"]]
        delaying.sort(key=lambda each: each["next_due"] or 0)
        ledger = self.layer.channel_layer.ledger
        rows: list[Row] = [
            {"channel": message.channel, "due_in": round(message.due_in, 1)}
            for each in delaying[:_DELAYING]
            for message in ledger.delayed(each["name"], self.limits.delayed)
        ]
        return sorted(rows, key=lambda row: row["due_in"])[: self.limits.delayed]
