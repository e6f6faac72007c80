"""Shard: one Redis server, and all that is needed to speak to it in this layer's way."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.codec import Codec
from channels_classic.layers.counters import Counter
from channels_classic.layers.names import non_local_name
from channels_classic.layers.on_redis.links import Links, good
from channels_classic.layers.on_redis.plan import Planner, Step
from channels_classic.layers.on_redis.ring import Node
from channels_classic.layers.on_redis.wire import COUNT, ENROL, JOIN, LEAVE, Command, Keys
from channels_classic.layers.on_redis.writer import Writer
from channels_classic.layers.traffic import Envelope
from channels_classic.log import Sparingly

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer

logger = logging.getLogger("channels_classic.layers")

Forward = Callable[[Sequence[Envelope]], Any]
ForwardAsync = Callable[[Sequence[Envelope]], Awaitable[Any]]


class Shard:
    """The connections, keys and encoding that the verbs and both ends of the bus share.

    ``forward`` sends what follows from other sends, where it may have to go to another shard;
    ``number`` is that of this one among ``shards``.
    """

    def __init__(
        self,
        node: Node,
        layer: BaseChannelLayer,
        *,
        prefix: str,
        codec: Codec,
        max_connections: int,
        inbox_limit: int,
        forward: Forward | None = None,
        number: int = 0,
        shards: int = 1,
    ) -> None:
        self.node = node
        self.layer = layer
        self.keys = Keys(prefix)
        self.codec = codec
        self.planner = Planner(
            self.keys, layer, inbox_limit=inbox_limit, number=number, shards=shards
        )
        self._forward = forward or self.deliver
        self.is_alone = forward is None
        self._say = Sparingly(logger)
        self._links = Links(node, max_connections)
        self._writers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Writer] = (
            weakref.WeakKeyDictionary()
        )
        self._last_writer: tuple[asyncio.AbstractEventLoop | None, Writer | None] = (None, None)

    def expiry_ms(self, name: str) -> int:
        """How long messages wait on a channel, in ms; 0 is for ever."""
        return int(self.planner.limits(name)[1])

    def lives_ms(self, name: str) -> int:
        """How long the key of a channel outlives the last send, in ms; 0 is for ever."""
        return int(self.planner.limits(name)[2])

    def call(self, *commands: Command) -> list[Any]:
        """The replies to ``commands``, none of them an error, or ``LayerUnavailable``."""
        return good(self.node.name, self._links.call(commands)) if commands else []

    def ask(self, *commands: Command) -> list[Any]:
        """The replies to ``commands``, None where Redis refuses: what concerns one key alone.

        Somebody may have put something else there: the others are not to suffer. Raises
        ``LayerUnavailable``.
        """
        return [self._usable(reply) for reply in self._links.call(commands)]

    async def ask_async(self, commands: Sequence[Command]) -> list[Any]:
        """``ask`` for an event loop."""
        return [self._usable(reply) for reply in await self.writer().ask(commands)]

    def _usable(self, reply: Any) -> Any:
        if not isinstance(reply, Exception):
            return reply
        self._say(logging.ERROR, str(reply), f"Redis at {self.node.name} refuses: {reply}")
        return None

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """``deliver`` of the channel layer."""
        steps = self.planner.steps(envelopes)
        replies = self.call(*(step.command for step in steps))
        return self.finish(zip(steps, replies, strict=True))

    def settle(self, envelopes: Sequence[Envelope], commands: Sequence[Command]) -> list[Envelope]:
        """Deliver, then carry out ``commands``, in one round trip; returns the refused sends.

        Whoever dies has done both, or at worst the sends alone.
        """
        steps = self.planner.steps(envelopes)
        replies = self.call(*(step.command for step in steps), *commands)
        return self.finish(zip(steps, replies, strict=False))

    def finish(self, carried_out: Iterable[tuple[Step, Any]]) -> list[Envelope]:
        """The refused sends of steps with their replies; what follows from them is delivered."""
        refused: list[Envelope] = []
        more: list[Envelope] = []
        for step, reply in carried_out:
            if reply.__class__ is int and reply == len(step.envelopes):
                continue  # as nearly always
            outcome = self.planner.outcome(step, reply)
            refused += outcome.refused
            more += outcome.more
        if more:
            self._follow_up(more)
        return refused

    def _follow_up(self, more: Sequence[Envelope]) -> None:
        """A group passes over its full members, so that nobody need know of the refused ones."""
        try:
            self._forward(more)
        except LayerUnavailable as error:  # what it follows from was done: not to be done again
            raise LayerUnavailable(str(error), in_doubt=True) from error

    def writer(self) -> Writer:
        """What this event loop writes with: the sends of one turn in one round trip."""
        loop = asyncio.get_running_loop()
        last, writer = self._last_writer
        if loop is last and writer is not None:  # a look-up with weak keys takes its time
            return writer
        if (writer := self._writers.get(loop)) is None:
            forward = None if self.is_alone else self._forward
            writer = self._writers[loop] = Writer(self.node, self.planner, forward=forward)
        self._last_writer = loop, writer
        return writer

    # Commands ---------------------------------------------------------------------------

    def count_command(self, channel: str, counter: Counter, number: int) -> Command:
        """The command that adds to a counter of a channel."""
        return COUNT.command([self.keys.stats(non_local_name(channel))], [str(counter), number])

    def join_command(self, group: str, channel: str, *, unheard_ms: int, is_here: bool) -> Command:
        """The command by which ``channel``, of a process, joins ``group``.

        The process counts as alive for ``unheard_ms`` if it was never heard of. A group that is
        not here, but on another shard, is to ``enrol`` the process.
        """
        keys, process = self.keys, non_local_name(channel)
        of_process = (keys.joined, keys.inbox, keys.changed, keys.gone)
        names = [keys.members(group, process), *(key(process) for key in of_process), keys.servers]
        names += [keys.group(group)] if is_here else []
        lives = self.planner.inbox_lives(process)
        return JOIN.command(names, (group, process, channel[len(process) :], lives, unheard_ms))

    def enrol_command(self, group: str, name: str, *, lives_ms: int | None = None) -> Command:
        """The command that makes a process, or a plain channel for a time, part of a group."""
        args = [name] if lives_ms is None else [name, lives_ms]
        return ENROL.command([self.keys.group(group)], args)

    def leave_command(self, group: str, channel: str) -> Command:
        """The command by which ``channel``, of a process, leaves ``group``."""
        keys, process = self.keys, non_local_name(channel)
        names = (keys.members(group, process), keys.inbox(process), keys.changed(process))
        lives = self.planner.inbox_lives(process)
        return LEAVE.command(names, (group, channel[len(process) :], lives))

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._links.close()

    async def close_async(self) -> None:
        """Close the connection of this event loop."""
        self._last_writer = (None, None)
        writer = self._writers.pop(asyncio.get_running_loop(), None)
        if writer is not None:
            await writer.close()
