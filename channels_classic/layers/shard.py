"""Shard: one Redis server, and all that is needed to speak to it in this layer's way."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from channels_classic.layers.codec import Codec
from channels_classic.layers.links import Links, good
from channels_classic.layers.names import non_local_name
from channels_classic.layers.ring import Node
from channels_classic.layers.traffic import Envelope
from channels_classic.layers.wire import Command, Keys, Planner, Script, Step
from channels_classic.layers.writer import Writer

#: Keys of channels outlive the last send to them by the expiry and this, in seconds.
GRACE = 60


class Shard:
    """The connections, keys and encoding that the verbs and both ends of the bus share.

    ``capacity`` gives the capacity of a channel by its name; ``expiry`` is in seconds.
    """

    def __init__(
        self,
        node: Node,
        *,
        prefix: str,
        codec: Codec,
        capacity: Callable[[str], int],
        expiry: float,
        max_connections: int,
        inbox_limit: int,
    ) -> None:
        self.node = node
        self.keys = Keys(prefix)
        self.codec = codec
        self.expiry_ms = int(expiry * 1000)
        self.lives_ms = self.expiry_ms + GRACE * 1000
        self.planner = Planner(
            self.keys,
            capacity,
            expiry_ms=self.expiry_ms,
            lives_ms=self.lives_ms,
            inbox_limit=inbox_limit,
        )
        self._links = Links(node, max_connections)
        self._writers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Writer] = (
            weakref.WeakKeyDictionary()
        )
        self._last_writer: tuple[asyncio.AbstractEventLoop | None, Writer | None] = (None, None)

    def call(self, *commands: Command) -> list[Any]:
        """The replies to ``commands``, none of them an error, or ``LayerUnavailable``."""
        return good(self.node.name, self._links.call(commands)) if commands else []

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """``deliver`` of the channel layer."""
        steps = self.planner.steps(envelopes)
        replies = self.call(*(step.command for step in steps))
        return self.finish(zip(steps, replies, strict=True))

    def finish(self, carried_out: Iterable[tuple[Step, Any]]) -> list[Envelope]:
        """The refused sends of steps with their replies; what groups pass on is delivered."""
        refused: list[Envelope] = []
        forwards: list[Envelope] = []
        for step, reply in carried_out:
            refused += step.refused(reply)
            forwards += step.forwards(reply)
        if forwards:
            self.deliver(forwards)  # a group passes over its full members
        return refused

    def writer(self) -> Writer:
        """What this event loop writes with: the sends of one turn in one round trip."""
        loop = asyncio.get_running_loop()
        last, writer = self._last_writer
        if loop is last and writer is not None:  # a look-up with weak keys takes its time
            return writer
        if (writer := self._writers.get(loop)) is None:
            writer = self._writers[loop] = Writer(self.node, self.planner)
        self._last_writer = loop, writer
        return writer

    def membership(self, script: Script, group: str, channel: str) -> Command:
        """The command that makes ``channel``, of some process, join or leave ``group``."""
        process = non_local_name(channel)
        keys = (
            self.keys.group(group),
            self.keys.members(group, process),
            self.keys.joined(process),
            self.keys.inbox(process),
            self.keys.changed(process),
        )
        args = (group, process, channel[len(process) :], self.lives_ms)
        return script.command(keys, args)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._links.close()

    async def close_async(self) -> None:
        """Close the connection of this event loop."""
        self._last_writer = (None, None)
        writer = self._writers.pop(asyncio.get_running_loop(), None)
        if writer is not None:
            await writer.close()
