"""Attachments on Redis: what is known of connections, and its end after theirs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import LAST
from channels_classic.layers.names import non_local_name
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import ATTACH, Command
from channels_classic.layers.traffic import Content

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

#: How long what is attached to its connections outlives a process, in seconds.
STAYS = 3600
#: How often a process looks for attachments of connections that have closed, in seconds.
SWEEP = 30.0
#: How long those are kept where messages never expire, in ms.
_DAY = 86_400_000


# The verbs --------------------------------------------------------------------------------


def attach_command(layer: RedisChannelLayer, channel: str, key: str, payload: bytes) -> Command:
    """The command that keeps ``payload`` under ``key``, for the shard of ``channel``."""
    keys, process = layer.shard_of(channel).keys, non_local_name(channel)
    lives_ms = int(layer.group_expiry * 1000)
    if "!" not in channel:
        return ("SET", keys.attached(key, channel), payload, "PX", lives_ms)
    names = [keys.attached(key, process), keys.attachments(process), keys.gone(process)]
    args = (key, process, channel[len(process) :], payload, lives_ms, STAYS)
    return ATTACH.command([*names, keys.servers], args)


def detach_command(layer: RedisChannelLayer, channel: str, key: str) -> Command:
    """The command that forgets it."""
    keys, process = layer.shard_of(channel).keys, non_local_name(channel)
    if "!" not in channel:
        return ("UNLINK", keys.attached(key, channel))
    return ("HDEL", keys.attached(key, process), channel[len(process) :])


class Look:
    """What is attached to some channels of one shard, asked for in one round trip."""

    def __init__(self, shard: Shard, key: str) -> None:
        self.shard = shard
        self._key = key
        #: By process, or by plain channel; the local parts.
        self._names: dict[str, list[str]] = {}

    def add(self, channel: str) -> None:
        """Ask for ``channel``, too."""
        name = non_local_name(channel)
        self._names.setdefault(name, []).append(channel[len(name) :])

    def commands(self) -> list[Command]:
        """What to ask Redis."""
        return [self._command(name, locals_) for name, locals_ in self._names.items()]

    def _command(self, name: str, locals_: list[str]) -> Command:
        where = self.shard.keys.attached(self._key, name)
        return ("HMGET", where, *locals_) if name.endswith("!") else ("GET", where)

    def found(self, replies: Sequence[Any]) -> dict[str, bytes | None]:
        """What Redis has, by channel."""
        found: dict[str, bytes | None] = {}
        for (name, locals_), reply in zip(self._names.items(), replies, strict=True):
            each = reply if name.endswith("!") else [reply] * len(locals_)
            found.update((name + local, data) for local, data in zip(locals_, each, strict=True))
        return found


def looks(layer: RedisChannelLayer, channels: Sequence[str], key: str) -> list[Look]:
    """One for each shard that some of ``channels`` are on."""
    by_shard: dict[Shard, Look] = {}
    for channel in channels:
        shard = layer.shard_of(channel)
        by_shard.setdefault(shard, Look(shard, key)).add(channel)
    return list(by_shard.values())


def decoded(layer: RedisChannelLayer, channel: str, data: bytes | None) -> Content | None:
    """What was attached; None, and counted, for what is not ours or no key decrypts."""
    if data is None:
        return None
    try:
        return layer.codec.decode(data)
    except UndecodableMessage as error:
        layer.count(channel, Counter.UNDECODABLE)
        layer.note(channel, Counter.UNDECODABLE, detail=str(error))
        return None


# The end ----------------------------------------------------------------------------------


class Sweeper:
    """Removes what is attached to closed connections of one process.

    It looks now and then, with the beat, so that closing a connection costs nothing. ``is_over``
    says of a local part whether the connection is closed and its consumers have been told: what it
    has stays for as long as that message may wait, and another minute.
    """

    def __init__(
        self,
        shard: Shard,
        process: str,
        is_over: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shard = shard
        self._process = process
        self._is_over = is_over
        self._clock = clock
        self._next = clock() + SWEEP
        #: By local part, when the connection was first seen to be over.
        self._over: dict[bytes, float] = {}

    async def sweep(self) -> None:
        """Look, if it is time to; raises ``LayerUnavailable``."""
        now = self._clock()
        if now < self._next:
            return
        everything = self._shard.keys.attachments(self._process)
        [names] = await self._shard.ask_async([("SMEMBERS", everything)])
        hashes = _hashes(self._shard, self._process, names or ())
        if hashes:
            await self._sweep(hashes, now)
            # Whoever held this process for dead has set them to end.
            await self._shard.ask_async([("PERSIST", key) for key in (everything, *hashes)])
        self._next = now + SWEEP

    async def _sweep(self, hashes: Sequence[str], now: float) -> None:
        found = await self._shard.ask_async([("HKEYS", key) for key in hashes])
        seen = {local for locals_ in found for local in locals_ or ()}
        over = [local for local in seen if self._is_over(local.decode("ascii", "replace"))]
        self._over = {local: self._over.get(local, now) for local in over}
        stays = (self._shard.lives_ms(LAST) or _DAY) / 1000
        ended = [local for local, since in self._over.items() if since + stays <= now]
        if ended:
            await self._shard.ask_async([("HDEL", key, *ended) for key in hashes])


def ending_commands(shard: Shard, process: str, keys: Collection[bytes]) -> list[Command]:
    """The commands after which what is attached in a process that has ended does so, too.

    ``keys`` are those under which something is attached. Its last consumers are still to run.
    """
    names = [shard.keys.attachments(process), *_hashes(shard, process, keys)]
    return [("EXPIRE", name, STAYS) for name in names] if keys else []


def _hashes(shard: Shard, process: str, keys: Iterable[bytes]) -> list[str]:
    """The names of what is kept under ``keys``."""
    return [shard.keys.attached(key.decode("ascii", "replace"), process) for key in keys]
