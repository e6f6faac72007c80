"""Bus: the channel layer as the connections of one server process see it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.log import Sparingly
from channels_classic.server.lane import Lane
from channels_classic.server.line import Line
from channels_classic.server.replies import ReplyListener

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer
    from channels_classic.layers.traffic import Envelope
    from channels_classic.server.http import HttpConnection
    from channels_classic.server.options import ServerOptions

logger = logging.getLogger("channels_classic.server")

#: How long a worker that was seen is believed to be there, in seconds.
_SEEN = 1.0
#: How long the server's end waits for the last messages of its sockets, in seconds.
_LAST_MESSAGES = 2.0


class Bus:
    """Sends with a deadline, knows which channels have workers, and holds the reply listener."""

    def __init__(
        self, layer: BaseChannelLayer, *, on_count: Callable[[str], None] | None = None
    ) -> None:
        self.layer = layer
        self.replies = ReplyListener(layer, on_count)
        #: Logs a thing once in a while: ``say(level, thing, text)``.
        self.say = Sparingly(logger)
        #: The event streams that are open.
        self.streams: set[HttpConnection] = set()
        self._endings: set[asyncio.Task[Any]] = set()
        self._lines: dict[str, Line] = {}
        self._seen: dict[str, float] = {}

    async def send(self, channel: str, content: dict[str, Any], *, wait: float | None) -> None:
        """``put`` a message; raises ``MessageTooLarge``, too."""
        await self.put(self.layer.prepare(channel, content), wait=wait)

    async def put(self, envelope: Envelope, *, wait: float | None) -> None:
        """Send, waiting for room and for the layer up to ``wait`` seconds; None is for ever.

        Raises ``ChannelFull`` or ``LayerUnavailable``; what may have gone is never sent twice.
        """
        line = self._lines.get(envelope.name)
        if line is None:
            trouble = None
            try:
                if not await self.layer.deliver_async([envelope]):
                    return
            except LayerUnavailable as error:
                if error.in_doubt:
                    raise
                trouble = error
            line = self._lines.setdefault(envelope.name, Line(self.layer))
            line.trouble = trouble
        try:
            await line.wait(envelope, wait)
        finally:
            if line.is_empty:
                self._lines.pop(envelope.name, None)

    async def put_all(self, envelopes: list[Envelope]) -> None:
        """Send at once, in order; what finds no room is dropped."""
        try:
            refused = await self.layer.deliver_async(envelopes)
        except LayerUnavailable as error:
            self._dropped(envelopes, error)
        else:
            if refused:
                self._dropped(refused, ChannelFull())

    async def tell(
        self, channel: str, content: dict[str, Any], *, wait: float = 0, always: bool = False
    ) -> None:
        """Send to those who ask for such messages; what finds no room in time is dropped.

        ``always`` leaves it for workers that are not there yet, waiting for none of them, and
        waits for a layer that is out of reach as long as it takes.
        """
        envelope = self.layer.prepare(channel, content)
        while (asked_for := await self.has_worker(channel, quiet=True)) or always:
            try:
                await self.put(envelope, wait=wait if asked_for else 0)
            except ChannelFull as error:
                self._dropped([envelope], error)
            except LayerUnavailable as error:
                if always and asked_for and not error.in_doubt:
                    continue
                self._dropped([envelope], error)
            break

    def _dropped(self, envelopes: list[Envelope], error: ChannelFull | LayerUnavailable) -> None:
        in_doubt = isinstance(error, LayerUnavailable) and error.in_doubt
        for envelope in envelopes:
            self.replies.count(envelope.name, "in_doubt_count" if in_doubt else "dropped_count")
        channel = envelopes[0].name
        self.say(logging.WARNING, ("dropped", channel), f"Could not send to {channel}: {error}")

    def note(self, counter: str, text: str) -> None:
        """Count what was done to a client, by a value of the layers' ``Counter``, and log it."""
        self.replies.count(self.replies.process, counter)
        self.say(logging.WARNING, counter, text)

    def open_lane(self, reply_channel: str, options: ServerOptions) -> Lane:
        """The lane of a new connection; without order where nobody asks for it or can keep it."""
        ordered = options.ordering and self.layer.receipts
        lane = Lane(self, reply_channel, options, ordered=ordered)
        if ordered:
            self.replies.add_lane(reply_channel, lane)
        return lane

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
        elif not quiet:
            self.say(
                logging.ERROR,
                ("no worker", channel),
                f"No worker reads the channel {channel}: start one with 'manage.py runworker'.",
            )
        return alive

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """The end of the server waits for this task while it is in the block."""
        if (task := asyncio.current_task()) is None:
            raise RuntimeError("only a task may use this")
        self._endings.add(task)
        try:
            yield
        finally:
            self._endings.discard(task)

    def end_streams(self) -> None:
        """End the event streams, which would not end by themselves: the server is to stop."""
        for stream in list(self.streams):
            stream.end_stream()

    async def close(self) -> None:
        """Leave the bus, once the sockets that are being closed have said so."""
        self.replies.hurry()
        if self._endings:
            await asyncio.wait(self._endings, timeout=_LAST_MESSAGES)
        await self.replies.stop()
