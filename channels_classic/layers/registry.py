"""Registry: what Redis knows of one server process, kept true as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgpack

from channels_classic.layers.fanout import Fanout
from channels_classic.layers.shard import Shard
from channels_classic.layers.traffic import Envelope
from channels_classic.layers.wire import DUE, HEARTBEAT, PART, RETIRE, Command

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

logger = logging.getLogger("channels_classic.layers")

#: Groups that are looked at in one beat, and delayed messages that are moved, at most.
_GROUPS, _DUE = 100, 1000
#: Commands in one round trip when all is restored.
_SLICE = 500

_RUN_ID = re.compile(rb"run_id:(\w+)")


class Registry:
    """The heartbeat, the memberships and the wills of one process.

    ``fanout`` knows who is in which group; it is what Redis is told when it has forgotten.
    """

    def __init__(
        self, layer: RedisChannelLayer, shard: Shard, process: str, fanout: Fanout
    ) -> None:
        self._layer = layer
        self._shard = shard
        self._process = process
        self._fanout = fanout
        self._wills: dict[str, bytes] = {}
        self._run_id: bytes | None = None

    # The beat ---------------------------------------------------------------------------

    async def beat(self, ttl: float) -> bool:
        """``Inbox.beat``."""
        known, info, *_ = await self._shard.ask_async(self._beat_commands(ttl))
        found = _RUN_ID.search(info or b"")
        run_id = found[1] if found else b""
        has_lost = self._run_id is not None and (known == 0 or run_id != self._run_id)
        if has_lost:
            logger.warning("Redis at %s has lost data: restoring groups", self._shard.node.name)
            await self._restore()
        self._run_id = run_id  # now, so that a failed restoration is tried again
        await self._leave_emptied_groups()
        return has_lost

    def _beat_commands(self, ttl: float) -> list[Command]:
        keys, process = self._shard.keys, self._process
        inbox, waiting = keys.inbox(process), keys.waiting(process)
        lives = self._shard.planner.inbox_lives(process)
        return [
            HEARTBEAT.command([keys.servers, keys.gone(process)], [process, int(ttl * 1000)]),
            ("INFO", "server"),
            DUE.command([keys.later(process), inbox, waiting], [_DUE, lives]),
            ("PEXPIRE", inbox, lives),
            ("PEXPIRE", waiting, lives),
        ]

    async def _restore(self) -> None:
        """Tell Redis of every membership and will."""
        keys, process = self._shard.keys, self._process
        commands: list[Command] = []
        for group, members in self._fanout.groups.items():
            name = group.decode("ascii")
            commands.append(("SADD", keys.members(name, process), *members))
            commands.append(("SADD", keys.joined(process), name))
        for local, will in self._wills.items():
            commands.append(("HSET", keys.wills(process), local, will))
        await _call(self._shard, commands)
        for shard, groups in self._by_shard([g.decode("ascii") for g in self._fanout.groups]):
            await _call(shard, [shard.enrol_command(group, process) for group in groups])

    def _by_shard(self, groups: Sequence[str]) -> list[tuple[Shard, list[str]]]:
        by_shard: dict[int, tuple[Shard, list[str]]] = {}
        for group in groups:
            shard = self._layer.shard_of(group)
            by_shard.setdefault(id(shard), (shard, []))[1].append(group)
        return list(by_shard.values())

    async def _leave_emptied_groups(self) -> None:
        """Groups without members here are no longer to send to this process.

        Somebody may be joining just now: then the score of the process changes, and it stays.
        """
        keys, process = self._shard.keys, self._process
        for shard, groups in self._by_shard(self._fanout.take_emptied(_GROUPS)):
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
            await self._shard.writer().call(
                [
                    PART.command([keys.members(g, process), keys.joined(process)], [g])
                    for g, _ in empty
                ]
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

    def _post(self, command: Command) -> None:
        self._shard.writer().post([command])

    # The end ----------------------------------------------------------------------------

    async def close(self) -> None:
        """Take the process off the bus; if there are wills left, for others to send them."""
        if self._wills:
            await _call(self._shard, [("ZADD", self._shard.keys.servers, 1, self._process)])
        else:
            await asyncio.to_thread(remove_process, self._layer, self._shard, self._process)


async def _call(shard: Shard, commands: list[Command]) -> None:
    for start in range(0, len(commands), _SLICE):
        await shard.writer().call(commands[start : start + _SLICE])


def remove_process(layer: RedisChannelLayer, shard: Shard, process: str) -> None:
    """Take a process out of its groups, and everything of it off its shard."""
    keys = shard.keys
    [joined] = shard.ask(("SMEMBERS", keys.joined(process)))
    groups = [group.decode("ascii", "replace") for group in joined or ()]
    for group in groups:
        owner = layer.shard_of(group)
        owner.ask(("ZREM", owner.keys.group(group), process))
    members = [keys.members(group, process) for group in groups]
    shard.ask(
        ("UNLINK", *members, *keys.of_process(process)),
        ("ZREM", keys.servers, process),
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
