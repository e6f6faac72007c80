"""Dead letters in this process's memory: the messages that were given up, and why."""

from __future__ import annotations

import itertools
import time
from typing import NamedTuple

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.codec import Codec
from channels_classic.layers.traffic import DeadLetter, Delivery, Reasons


class _Kept(NamedTuple):
    channel: str
    payload: bytes
    attempts: int
    reasons: Reasons
    died: float


class DeadLetters:
    """Keeps the last ``limit`` of them. Its caller holds the lock."""

    def __init__(self, codec: Codec, limit: int) -> None:
        self._codec = codec
        self._limit = limit
        self._kept: dict[str, _Kept] = {}
        self._serial = itertools.count(1)

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, delivery: Delivery, reasons: Reasons) -> str | None:
        """Keep a message; returns the channel of the oldest one when that had to go for it."""
        payload = delivery.payload
        if payload is None:
            payload = self._codec.encode(delivery.content)
        kept = _Kept(delivery.channel, payload, delivery.attempts + 1, reasons, time.time())
        self._kept[str(next(self._serial))] = kept
        if len(self._kept) <= self._limit:
            return None
        return self._kept.pop(next(iter(self._kept))).channel

    def of(self, channel: str | None) -> list[DeadLetter]:
        """Those of ``channel``, or all, oldest first."""
        return [
            self._letter(id_, kept)
            for id_, kept in self._kept.items()
            if channel is None or kept.channel == channel
        ]

    def newest(self, limit: int) -> list[DeadLetter]:
        """The last ``limit``, the newest first."""
        newest = itertools.islice(reversed(self._kept.items()), limit)
        return [self._letter(id_, kept) for id_, kept in newest]

    def get(self, id_: str) -> DeadLetter | None:
        """The one with this id, if it is still there."""
        kept = self._kept.get(id_)
        return None if kept is None else self._letter(id_, kept)

    def _letter(self, id_: str, kept: _Kept) -> DeadLetter:
        try:
            content = self._codec.decode(kept.payload)
        except UndecodableMessage:
            content = None
        error, traceback, worker = kept.reasons
        return DeadLetter(
            id_, kept.channel, content, kept.attempts, error, traceback, worker, kept.died
        )

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()

    def payload(self, letter: DeadLetter) -> bytes | None:
        """The encoded content of ``letter``; None when it is no longer there."""
        kept = self._kept.get(letter.id)
        return None if kept is None else kept.payload

    def remove(self, letter: DeadLetter) -> bool:
        """Forget ``letter``; whether it was there."""
        return self._kept.pop(letter.id, None) is not None
