"""Attachments: what is known of connections and other channels, in this process's memory."""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class _Kept(NamedTuple):
    payload: bytes
    until: float


class Attachments:
    """Its caller holds the lock; what the time of has come for is gone with ``expire``."""

    def __init__(self) -> None:
        #: By channel and key.
        self._kept: dict[str, dict[str, _Kept]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def put(self, channel: str, key: str, payload: bytes, *, until: float) -> None:
        """Keep ``payload``, in the place of what was there."""
        self._kept.setdefault(channel, {})[key] = _Kept(payload, until)

    def get(self, channel: str, key: str, *, now: float) -> bytes | None:
        """What is kept, if its time has not come."""
        kept = self._kept.get(channel, {}).get(key)
        return kept.payload if kept is not None and kept.until > now else None

    def remove(self, channel: str, key: str) -> None:
        """Forget what is kept; no error when nothing is."""
        found = self._kept.get(channel, {})
        found.pop(key, None)
        if not found:
            self._kept.pop(channel, None)

    def end(self, channel: str, *, until: float) -> None:
        """The connection is closed: what it has, and has no end yet, ends then."""
        for key, kept in self._kept.get(channel, {}).items():
            if kept.until == inf:
                self.put(channel, key, kept.payload, until=until)

    def end_process(self, process: str, *, until: float) -> None:
        """Every connection of ``process``, which ends in ``!``, is closed."""
        for channel in self._kept:
            if channel.startswith(process):
                self.end(channel, until=until)

    def expire(self, now: float) -> None:
        """Forget what the time of has come for."""
        for channel, found in list(self._kept.items()):
            for key in [key for key, kept in found.items() if kept.until <= now]:
                self.remove(channel, key)
