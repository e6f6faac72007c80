"""Channel layers for tests: in this process's memory, they remember all that was sent."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, NamedTuple

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.traffic import Content, Envelope

#: A message waits for as long as its test takes, in a debugger too; and a client stays in its
#: groups, however far ``next_due`` moves the time. ``capacity`` is left as it is on every layer,
#: 100, and not the 10 of Channels 1: nobody reads while a test sends, so what is too much for a
#: test should be too much for a site.
_OPTIONS: Mapping[str, Any] = {"expiry": None, "group_expiry": 10 * 365 * 86400}


class Sent(NamedTuple):
    """One message that was accepted: for a channel or a group, and how many seconds later."""

    name: str
    content: Content
    to_group: bool
    delay: float


class RecordingLayer(InMemoryChannelLayer):
    """An in-memory layer that knows what was sent through it, and whose time can be moved."""

    def __init__(self, **options: Any) -> None:
        self._ahead = 0.0
        self._accepted: list[Envelope] = []
        super().__init__(clock=self._now, **{**_OPTIONS, **options})

    def _now(self) -> float:
        return time.monotonic() + self._ahead

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        refused: list[Envelope] = []
        for envelope in envelopes:
            full = super().deliver([envelope])
            (refused if full else self._accepted).append(envelope)
        return refused

    def sent(self) -> list[Sent]:
        """All that was accepted so far, oldest first: also what has been received since."""
        return [
            Sent(each.name, self._codec.decode(each.payload), each.to_group, each.delay)
            for each in self._accepted
        ]

    def next_due(self) -> bool:
        """Move the time to when the next delayed message is due; False when there is none."""
        with self.hold() as store:
            if store.later.first_due == inf:
                return False
            self._ahead += max(0.0, store.later.first_due - self._now())
            store.tick()
        return True


@contextmanager
def fresh_layers(aliases: Iterable[str], **options: Any) -> Iterator[None]:
    """A ``RecordingLayer`` with ``options`` for each of ``aliases``, until the block ends.

    Each has the routing that its alias has in the settings, or in use so far. The layers of the
    settings are not made, so nothing connects to them. Raises as ``ChannelLayerManager`` does.
    """
    before = {alias: channel_layers.backends.get(alias) for alias in aliases}
    try:
        for alias in before:
            layer = RecordingLayer(**options)
            channel_layers.set(alias, ChannelLayerWrapper(layer, alias, _routing(alias)))
        yield
    finally:
        for alias, wrapper in before.items():
            channel_layers.set(alias, wrapper)


def _routing(alias: str) -> Any:
    """A copy, so that what a test does to it ends with the test."""
    entry: Any = channel_layers.configs.get(alias)
    if alias not in channel_layers.backends and isinstance(entry, Mapping) and "ROUTING" in entry:
        return copy.copy(entry["ROUTING"])
    return copy.copy(channel_layers[alias].routing)  # or it says what is wrong
