"""Task load: what tasks have recorded, and whether each of them ran exactly once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from benchmarks.sites.tasks.record import RECORD, Record

#: Tasks that do not go on for so many seconds are lost.
STALLED = 5.0
STEP = 0.01


class Records:
    """What tasks have appended to the file at ``path`` since the last ``forget``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._from = 0

    def forget(self) -> None:
        """Begin anew."""
        self._from = self.path.stat().st_size

    def count(self) -> int:
        """How many there are."""
        return (self.path.stat().st_size - self._from) // RECORD.size

    def read(self) -> list[Record]:
        """All of them, in the order in which the tasks ended."""
        with self.path.open("rb") as file:
            file.seek(self._from)
            found = file.read(self.count() * RECORD.size)
        return [Record(*fields) for fields in RECORD.iter_unpack(found)]

    def wait_for(self, count: int) -> list[Record]:
        """Wait until there are ``count``, or no more have come for some seconds."""
        seen, since = -1, time.monotonic()
        while (now := self.count()) < count and time.monotonic() - since < STALLED:
            if now > seen:
                seen, since = now, time.monotonic()
            time.sleep(STEP)
        return self.read()


def not_once(records: list[Record], count: int) -> int:
    """How many of the tasks 0 to ``count - 1`` have not run, or again, or were never asked for."""
    runs = Counter(record.number for record in records)
    return sum(abs(runs.pop(number, 0) - 1) for number in range(count)) + runs.total()
