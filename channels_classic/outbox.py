"""Sends held back until the consumer ends, then flushed with a deadline."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.names import non_local_name
from channels_classic.layers.traffic import Content, Envelope

#: How long a flush waits for full channels, and the longest pause between its tries, in seconds.
FLUSH_DEADLINE = 2.0
FLUSH_PAUSE = 0.2


class Outbox:
    """The sends of one consumer, in order, with the layer each is for."""

    def __init__(self, reply_channel: str | None = None) -> None:
        self.sends: list[tuple[BaseChannelLayer, Envelope]] = []
        self._reply_channel = reply_channel
        self._answered_at_once = False
        #: Whether the consumer is over: tasks and threads that it left behind send at once.
        self.is_over = False

    @property
    def answered(self) -> bool:
        """Whether anything goes to ``reply_channel``: held back, or sent at once."""
        held = (envelope.name == self._reply_channel for _, envelope in self.sends)
        return self._answered_at_once or any(held)

    def add(
        self,
        layer: BaseChannelLayer,
        name: str,
        content: Content,
        *,
        to_group: bool = False,
        delay: float = 0,
    ) -> None:
        """Hold one send back. What is wrong with it is raised now, where it was written."""
        self.hold(layer, layer.prepare(name, content, to_group=to_group, delay=delay))

    def hold(self, layer: BaseChannelLayer, envelope: Envelope) -> None:
        """Hold one send back that has been checked and encoded."""
        self.sends.append((layer, envelope))

    def note(self, name: str) -> None:
        """Hear that something is sent to ``name`` at once."""
        if name == self._reply_channel:
            self._answered_at_once = True

    def take(self, layer: BaseChannelLayer) -> list[Envelope]:
        """The sends for ``layer``, taken out, for a caller that puts them on the bus itself."""
        taken = [envelope for owner, envelope in self.sends if owner is layer]
        if len(taken) == len(self.sends):
            self.sends = []
        else:
            self.sends = [pair for pair in self.sends if pair[0] is not layer]
        return taken

    def flush(self, *, deadline: float = FLUSH_DEADLINE) -> None:
        """Put the sends on the bus, waiting up to ``deadline`` seconds for full channels.

        What stays full is counted, logged and dropped. Raises ``LayerUnavailable`` alone.
        """
        while self.sends:
            layer = self.sends[0][0]
            deliver(layer, self.take(layer), deadline=deadline)

    async def flush_async(self) -> None:
        """``flush`` for an event loop."""
        while self.sends:
            layer = self.sends[0][0]
            await deliver_async(layer, self.take(layer))

    def discard(self) -> None:
        """Forget the sends: the consumer will run again and send them then."""
        self.sends = []


_current: ContextVar[Outbox | None] = ContextVar("channels_classic_outbox", default=None)


def current() -> Outbox | None:
    """The outbox of the consumer that is running here, if one is."""
    outbox = _current.get()
    return None if outbox is None or outbox.is_over else outbox


def begin() -> None:
    """Hold sends back from here on, until the outbox ``is_over``."""
    outbox = _current.get()
    if outbox is None:
        _current.set(Outbox())
    else:
        outbox.is_over = False


def pending(name: str, *, immediately: bool) -> Outbox | None:
    """Where a send to ``name`` is held back; None when it is made at once, which is noted."""
    outbox = current()
    if outbox is None or not immediately:
        return outbox
    outbox.note(name)
    return None


@contextmanager
def holding(reply_channel: str | None = None) -> Iterator[Outbox]:
    """Hold back every send made in the block, this thread's or this task's; the caller flushes."""
    outbox = Outbox(reply_channel)
    token = _current.set(outbox)
    try:
        yield outbox
    finally:
        outbox.is_over = True
        _current.reset(token)


def deliver(
    layer: BaseChannelLayer, envelopes: list[Envelope], *, deadline: float = FLUSH_DEADLINE
) -> None:
    """Deliver, with growing pauses while a channel is full; give up after ``deadline`` seconds."""
    refused = layer.deliver(envelopes)
    for pause in _pauses(deadline):
        if not refused:
            return
        time.sleep(pause)
        refused = layer.deliver(refused)
    if refused:
        give_up(layer, refused, waited=deadline)


async def deliver_async(
    layer: BaseChannelLayer, envelopes: list[Envelope], *, deadline: float = FLUSH_DEADLINE
) -> None:
    """``deliver`` for an event loop."""
    refused = await layer.deliver_async(envelopes)
    for pause in _pauses(deadline):
        if not refused:
            return
        await asyncio.sleep(pause)
        refused = await layer.deliver_async(refused)
    if refused:
        await asyncio.to_thread(give_up, layer, refused, waited=deadline)


def _pauses(deadline: float) -> Iterator[float]:
    """Growing pauses until ``deadline`` seconds have passed."""
    end = time.monotonic() + deadline
    pause = 0.005
    while time.monotonic() < end:
        yield pause
        pause = min(pause * 2, FLUSH_PAUSE)


def give_up(layer: BaseChannelLayer, refused: Sequence[Envelope], *, waited: float) -> None:
    """Count and log the sends that are dropped, as their channel was full for so many seconds."""
    detail = f"still full after {waited:.1f} s: add workers or raise its capacity"
    for name, number in by_channel(refused).items():
        layer.note(name, Counter.DROPPED, number, detail=detail)
        with suppress(LayerUnavailable):
            layer.count(name, Counter.DROPPED, number)


def by_channel(sends: Sequence[Envelope]) -> collections.Counter[str]:
    """How many of the sends there are for each channel, process or group."""
    return collections.Counter(non_local_name(envelope.name) for envelope in sends)
