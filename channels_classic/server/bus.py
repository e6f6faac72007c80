"""Bus: the channel layer as the connections of one server process see it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.server.line import Line
from channels_classic.server.replies import ReplyListener

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer
    from channels_classic.layers.traffic import Envelope

logger = logging.getLogger("channels_classic.server")

#: How long a worker that was seen is believed to be there, in seconds.
_SEEN = 1.0
#: At most one line about the same missing worker in this many seconds.
_SAY_AGAIN = 10.0


class Bus:
    """Sends with a deadline, knows which channels have workers, and holds the reply listener."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.layer = layer
        self.replies = ReplyListener(layer)
        self._lines: dict[str, Line] = {}
        self._seen: dict[str, float] = {}
        self._said: dict[str, float] = {}

    async def send(self, channel: str, content: dict[str, Any], *, wait: float | None) -> None:
        """Send, waiting for room and for the layer up to ``wait`` seconds; None is for ever.

        Raises ``ChannelFull``, ``LayerUnavailable`` or ``MessageTooLarge``.
        """
        envelope = self.layer.prepare(channel, content)
        line = self._lines.get(channel)
        if line is None:
            refused = await self._deliver(envelope, wait)
            if not refused:
                return
            line = self._lines.setdefault(channel, Line(self.layer))
        try:
            await line.wait(envelope, wait)
        finally:
            if line.is_empty:
                self._lines.pop(channel, None)

    async def _deliver(self, envelope: Envelope, wait: float | None) -> list[Envelope]:
        """Deliver once the layer can be reached; returns what a full channel refused."""
        end = None if wait is None else time.monotonic() + wait
        pause = 0.005
        while True:
            try:
                return await self.layer.deliver_async([envelope])
            except LayerUnavailable as error:
                is_late = end is not None and time.monotonic() + pause > end
                if error.in_doubt or is_late:  # what may have gone is never sent twice
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.2)

    async def tell(
        self, channel: str, content: dict[str, Any], *, wait: float = 0, always: bool = False
    ) -> None:
        """Send to those who ask for such messages; that it does not arrive is no disaster.

        ``always`` leaves it for workers that are not there yet; it waits for none of them.
        """
        asked_for = await self.has_worker(channel, quiet=True)
        if not asked_for and not always:
            return
        try:
            await self.send(channel, content, wait=wait if asked_for else 0)
        except (ChannelFull, LayerUnavailable) as error:
            logger.warning("Could not send to %s: %s", channel, error)

    async def has_worker(self, channel: str, *, quiet: bool = False) -> bool:
        """Whether a worker reads ``channel``; a layer that is away says nothing against it."""
        now = time.monotonic()
        if now - self._seen.get(channel, -_SEEN) < _SEEN:
            return True
        try:
            alive = await self.layer.has_worker(channel)
        except LayerUnavailable:
            return True
        if alive:
            self._seen[channel] = now
        elif not quiet and now - self._said.get(channel, -_SAY_AGAIN) >= _SAY_AGAIN:
            self._said[channel] = now
            logger.error(
                "No worker reads the channel %s: start one with 'manage.py runworker'.", channel
            )
        return alive
