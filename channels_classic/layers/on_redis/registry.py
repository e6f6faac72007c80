"""Registry: what Redis knows of one server process, kept true as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgpack

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.ends import IsOpen
from channels_classic.layers.on_redis.attachments import Sweeper, ending_commands
from channels_classic.layers.on_redis.elsewhere import Elsewhere, call_all
from channels_classic.layers.on_redis.fanout import Fanout
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import DUE, HEARTBEAT, PART, RETIRE, Command
from channels_classic.layers.traffic import Envelope

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

logger = logging.getLogger("channels_classic.layers")

#: Groups that are looked at in one beat, and delayed messages that are moved, at most.
_GROUPS, _DUE = 100, 1000

_RUN_ID = re.compile(rb"run_id:(\w+)")


class Registry:
    """The heartbeat, the memberships, the wills and the end of the attachments of one process.

    ``fanout`` knows who is in which group; it is what Redis is told when it has forgotten.
    """

    def __init__(
        self,
        layer: RedisChannelLayer,
        shard: Shard,
        process: str,
        *,
        fanout: Fanout,
        is_open: IsOpen,
    ) -> None:
        self._layer = layer
        self._shard = shard
        self._process = process
        self._fanout = fanout
        self._is_open = is_open
        self._wills: dict[str, bytes] = {}
        self._ended: list[str] = []
        #: Taken for dead by others; until it is known which wills they have sent.
        self._was_gone = False
        self._run_id: bytes | None = None
        self._elsewhere = Elsewhere(layer, shard, process, self._group_names)
        self._sweeper = Sweeper(shard, process, self._is_over)

    # The beat ---------------------------------------------------------------------------

    async def beat(self, ttl: float) -> bool:
        """``Inbox.beat``."""
        was_gone, known, info, *_ = await self._shard.ask_async(self._beat_commands(ttl))
        self._was_gone |= bool(was_gone)
        if self._was_gone:
            await self._note_sent_wills()
        found = _RUN_ID.search(info or b"")
        run_id = found[1] if found else b""
        has_lost = self._run_id is not None and (known == 0 or run_id != self._run_id)
        if has_lost:
            logger.warning("Redis at %s has lost data: restoring groups", self._shard.node.name)
            await self._restore()
        self._run_id = run_id  # now, so that a failed restoration is tried again
        has_lost |= await self._elsewhere.beat()
        await self._leave_emptied_groups()
        await self._sweeper.sweep()
        return has_lost

    def _beat_commands(self, ttl: float) -> list[Command]:
        keys, process = self._shard.keys, self._process
        inbox, waiting = keys.inbox(process), keys.waiting(process)
        lives = self._shard.planner.inbox_lives(process)
        return [
            ("EXISTS", keys.gone(process)),  # before the heartbeat, which removes it
            HEARTBEAT.command([keys.servers, keys.gone(process)], [process, int(ttl * 1000)]),
            ("INFO", "server"),
            DUE.command([keys.later(process), inbox, keys.stats(process), waiting], [_DUE, lives]),
            ("PEXPIRE", inbox, lives),
            ("PEXPIRE", waiting, lives),
        ]

    async def _note_sent_wills(self) -> None:
        """Others took this process for dead: what they have sent is there no more."""
        before = list(self._wills)  # sockets that are accepted meanwhile are no matter of theirs
        [left] = await self._shard.ask_async([("HKEYS", self._shard.keys.wills(self._process))])
        self._was_gone = False
        if left is None:
            return  # somebody has put something else there: nothing is known of wills
        kept = {local.decode("ascii", "replace") for local in left}
        for local in before:
            if local not in kept and self._wills.pop(local, None) is not None:
                self._ended.append(local)

    def take_ended(self) -> list[str]:
        """``Inbox.take_ended``."""
        ended, self._ended = self._ended, []
        return ended

    async def _restore(self) -> None:
        """Tell Redis of every membership and will, and of those who are not there any more."""
        await self._forget_closed()
        keys, process = self._shard.keys, self._process
        commands: list[Command] = []
        for group, members in self._fanout.groups.items():
            name = group.decode("ascii")
            commands.append(("SADD", keys.members(name, process), *members))
            commands.append(("SADD", keys.joined(process), name))
        for local, will in self._wills.items():
            commands.append(("HSET", keys.wills(process), local, will))
        await call_all(self._shard, commands)
        own = [g for g in self._group_names() if self._layer.shard_of(g) is self._shard]
        await call_all(self._shard, [self._shard.enrol_command(g, process) for g in own])

    async def _forget_closed(self) -> None:
        """A new master may not have heard who has left: that was said to the old one alone."""
        keys, process = self._shard.keys, self._process
        [joined] = await self._shard.ask_async([("SMEMBERS", keys.joined(process))])
        groups = [group.decode("ascii", "replace") for group in joined or ()]
        members = [keys.members(group, process) for group in groups]
        found = await self._shard.ask_async([("SMEMBERS", key) for key in members])
        commands: list[Command] = []
        for key, locals_ in zip(members, found, strict=True):
            closed = [m for m in locals_ or () if not self._is_open(m.decode("ascii", "replace"))]
            if closed:
                commands.append(("SREM", key, *closed))
        await call_all(self._shard, commands)
        own = set(self._group_names())
        self._fanout.put_back_emptied([group for group in groups if group not in own])

    def _group_names(self) -> list[str]:
        return [group.decode("ascii") for group in self._fanout.groups]

    def _by_shard(self, groups: Sequence[str]) -> list[tuple[Shard, list[str]]]:
        by_shard: dict[int, tuple[Shard, list[str]]] = {}
        for group in groups:
            shard = self._layer.shard_of(group)
            by_shard.setdefault(id(shard), (shard, []))[1].append(group)
        return list(by_shard.values())

    async def _leave_emptied_groups(self) -> None:
        """Groups without members here are no longer to send to this process."""
        for shard, groups in self._by_shard(self._fanout.take_emptied(_GROUPS)):
            try:
                with self._layer.presence.noted(shard):
                    await self._leave(shard, groups)
            except LayerUnavailable:
                self._fanout.put_back_emptied(groups)  # for the next beat

    async def _leave(self, shard: Shard, groups: list[str]) -> None:
        """Leave groups of ``shard``, each if it has no members here.

        Somebody may be joining just now: then the score of the process changes, and it stays.
        """
        keys, process = self._shard.keys, self._process
        writer = shard.writer()
        scores = await writer.call([("ZSCORE", shard.keys.group(g), process) for g in groups])
        members = [keys.members(group, process) for group in groups]
        counts = await self._shard.writer().call([("SCARD", key) for key in members])
        empty = [
            (group, score)
            for group, score, count in zip(groups, scores, counts, strict=True)
            if score is not None and not count
        ]
        await writer.call(
            [RETIRE.command([shard.keys.group(g)], [process, score]) for g, score in empty]
        )
        parts = [[keys.members(g, process), keys.joined(process)] for g, _ in empty]
        await self._shard.writer().call(
            [PART.command(part, [g]) for part, (g, _) in zip(parts, empty, strict=True)]
        )

    # Wills ------------------------------------------------------------------------------

    def leave_will(self, local: str, will: Envelope) -> None:
        """``Inbox.leave_will``."""
        data = self._wills[local] = pack_will(will)
        self._post(("HSET", self._shard.keys.wills(self._process), local, data))

    def withdraw_will(self, local: str) -> None:
        """``Inbox.withdraw_will``."""
        if self._wills.pop(local, None) is not None:
            self._post(("HDEL", self._shard.keys.wills(self._process), local))

    def _is_over(self, local: str) -> bool:
        """Whether the connection is closed and, if it left a will, its consumers know of it."""
        return not self._is_open(local) and local not in self._wills

    def _post(self, command: Command) -> None:
        self._shard.writer().post([command])

    # The end ----------------------------------------------------------------------------

    async def close(self) -> None:
        """Take the process off the bus; if there are wills left, for others to send them."""
        await self._elsewhere.close()
        if self._wills:
            await self._shard.writer().call([("ZADD", self._shard.keys.servers, 1, self._process)])
        else:
            await asyncio.to_thread(remove_process, self._layer, self._shard, self._process)


def remove_process(layer: RedisChannelLayer, shard: Shard, process: str) -> None:
    """Take a process out of its groups, and everything of it off its shard.

    What is attached to its connections stays for a while: their consumers may be running.
    """
    keys = shard.keys
    joined, attached = shard.ask(
        ("SMEMBERS", keys.joined(process)), ("SMEMBERS", keys.attachments(process))
    )
    groups = [group.decode("ascii", "replace") for group in joined or ()]
    for group in groups:
        owner = layer.shard_of(group)
        owner.ask(("ZREM", owner.keys.group(group), process))
    members = [keys.members(group, process) for group in groups]
    shard.ask(
        ("UNLINK", *members, *keys.of_process(process)),
        ("ZREM", keys.servers, process),
        *ending_commands(shard, process, attached or ()),
    )


def pack_will(will: Envelope) -> bytes:
    """A will as it is kept."""
    packed: bytes = msgpack.packb([will.name, will.payload])
    return packed


def unpack_will(data: bytes) -> Envelope | None:
    """What ``pack_will`` made, or None for something else."""
    try:
        will: Any = msgpack.unpackb(data)
    except Exception:  # whatever a foreign or broken entry makes the decoder say
        return None
    is_will = isinstance(will, list) and len(will) == 2 and isinstance(will[0], str)
    return Envelope(*will) if is_will and isinstance(will[1], bytes) else None
