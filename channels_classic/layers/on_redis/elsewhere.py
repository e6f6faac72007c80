"""Elsewhere: a server process on the shards that are not its own, where some of its groups are."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.shard import Shard

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

logger = logging.getLogger("channels_classic.layers")

#: How long a shard remembers that the process was there, in ms.
_REMEMBERS = 600_000
#: How long the shards are waited for, in seconds; what comes later is in the next beat.
PROMPT = 0.2
#: Commands in one round trip when all is restored.
SLICE = 500

_RUN_ID = re.compile(rb"run_id:(\w+)")


class Elsewhere:
    """Sees which other shards have lost data, or were away, and enrols the process there again.

    ``groups`` names the groups with members in the process.
    """

    def __init__(
        self,
        layer: RedisChannelLayer,
        home: Shard,
        process: str,
        groups: Callable[[], Iterable[str]],
    ) -> None:
        self._layer = layer
        self._process = process
        self._groups = groups
        self._shards = [shard for shard in layer.shards if shard is not home]
        self._run_ids: dict[Shard, bytes] = {}
        #: Shards that were away: who has joined meanwhile may not have been enrolled there.
        self._unsure: set[Shard] = set()
        self._under_way: dict[Shard, asyncio.Task[bool]] = {}

    async def beat(self) -> bool:
        """Whether a shard has lost what it held, as far as is known by now."""
        for shard in self._shards:
            if shard not in self._under_way:
                self._under_way[shard] = asyncio.create_task(self._on_one(shard))
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=PROMPT)
        done = [shard for shard, task in self._under_way.items() if task.done()]
        lost = [self._under_way.pop(shard).result() for shard in done]
        return any(lost)

    async def _on_one(self, shard: Shard) -> bool:
        try:
            with self._layer.presence.noted(shard):
                return await self._look(shard)
        except LayerUnavailable:
            self._unsure.add(shard)
            return False
        except Exception:  # a mistake of ours must not end the beat of the process
            logger.exception("Error while looking after %s", shard.node.name)
            return False

    async def _look(self, shard: Shard) -> bool:
        heard = ("SET", shard.keys.heard(self._process), 1, "PX", _REMEMBERS, "GET")
        known, info = await shard.writer().call([heard, ("INFO", "server")])
        found = _RUN_ID.search(info)
        run_id, before = found[1] if found else b"", self._run_ids.get(shard)
        has_lost = before is not None and (known is None or run_id != before)
        if has_lost or shard in self._unsure:
            groups = [g for g in self._groups() if self._layer.shard_of(g) is shard]
            await call_all(shard, [shard.enrol_command(g, self._process) for g in groups])
        if has_lost:
            logger.warning("Redis at %s has lost data: groups are restored", shard.node.name)
        self._run_ids[shard] = run_id  # now, so that a failed restoration is tried again
        self._unsure.discard(shard)
        return has_lost

    async def close(self) -> None:
        """End what is under way, and be forgotten."""
        tasks, self._under_way = list(self._under_way.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for shard in self._run_ids:
            shard.writer().post([("UNLINK", shard.keys.heard(self._process))])


async def call_all(shard: Shard, commands: Sequence[tuple[object, ...]]) -> None:
    """Carry out ``commands``, however many they are."""
    for start in range(0, len(commands), SLICE):
        await shard.writer().call(commands[start : start + SLICE])
