"""The beat of a worker process on one shard: announce it, move what is due, recover."""

from __future__ import annotations

import logging
import time
from collections import Counter as Tally
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from channels_classic.exceptions import InvalidName, LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.names import valid_channel_name
from channels_classic.layers.on_redis.entries import read_entry
from channels_classic.layers.on_redis.registry import remove_process, unpack_will
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import ANNOUNCE, DUE, LAPSED, LEASE, Command
from channels_classic.layers.traffic import Delivery, Envelope, Pulse

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

logger = logging.getLogger("channels_classic.layers")

#: Messages, and dead servers, that are seen to in one beat, at most.
_DUE, _LAPSED, _SERVERS = 1000, 100, 10
#: How long a dead server is left to the one who found it, in seconds.
LEASE_TIME = 15.0
#: How long a process that was found dead cannot join groups any more, in seconds.
_GONE = 3600
#: Wills that are sent together, and how long one beat may take to send them, in seconds.
_WILLS, _WILLS_TIME = 100, 2.0
_PAUSE = 0.02


def beat(
    layer: RedisChannelLayer,
    shard: Shard,
    worker: str,
    channels: Sequence[str],
    *,
    ttl: float,
    recover: bool,
) -> Pulse:
    """``BaseChannelLayer.beat`` for one shard."""
    count, ttl_ms = len(channels), int(ttl * 1000)
    looks: list[Command] = []
    if recover:  # before the beat is renewed: whoever was held up does not look
        looks = [_lapsed(shard, worker, channel, ttl_ms) for channel in channels]
        looks.append(_lease(shard, worker, channels, ttl_ms))
    replies = shard.ask(
        *looks,
        *(_announce(shard, worker, channel, ttl_ms) for channel in channels),
        *(_due(shard, channel) for channel in channels),
    )
    due = [ms / 1000 for ms in replies[len(replies) - count :] if ms is not None and ms >= 0]
    if not recover:
        return Pulse([], min(due, default=None))
    lapsed = _deliveries(layer, shard, channels, replies[:count])
    for process in replies[count] or ():
        _recover_server(layer, shard, process.decode("ascii", "replace"))
    return Pulse(lapsed, min(due, default=None))


def _announce(shard: Shard, worker: str, channel: str, ttl_ms: int) -> Command:
    keys = [shard.keys.workers(channel), shard.keys.channel(channel)]
    return ANNOUNCE.command(keys, [worker, ttl_ms, shard.lives_ms(channel)])


def _due(shard: Shard, channel: str) -> Command:
    keys = [key(channel) for key in (shard.keys.later, shard.keys.channel, shard.keys.stats)]
    return DUE.command(keys, [_DUE, shard.lives_ms(channel)])


def _lapsed(shard: Shard, worker: str, channel: str, ttl_ms: int) -> Command:
    keys = [shard.keys.channel(channel), shard.keys.workers(channel)]
    return LAPSED.command(keys, [worker, ttl_ms, _LAPSED])


def _lease(shard: Shard, worker: str, channels: Sequence[str], ttl_ms: int) -> Command:
    keys = [shard.keys.servers, *(shard.keys.workers(channel) for channel in channels[:1])]
    return LEASE.command(keys, [int(LEASE_TIME * 1000), _SERVERS, worker, ttl_ms])


def _deliveries(
    layer: RedisChannelLayer, shard: Shard, channels: Sequence[str], found: Sequence[Any]
) -> list[Delivery]:
    deliveries = [
        read_entry(shard, channel, entry_id, fields)
        for channel, entries in zip(channels, found, strict=True)
        for entry_id, fields in entries or ()
    ]
    unreadable = [delivery for delivery in deliveries if delivery.token.problem]
    if unreadable:
        layer.lose(unreadable, Counter.UNDECODABLE)
    return [delivery for delivery in deliveries if not delivery.token.problem]


# Dead servers -----------------------------------------------------------------------------


def _recover_server(layer: RedisChannelLayer, shard: Shard, process: str) -> None:
    """Send the wills of its sockets, then remove what is left; again next time if not all went.

    It may have been cut off, and come back meanwhile: then the rest is its own again.
    """
    gone = shard.keys.gone(process)
    try:
        shard.call(("SET", gone, 1, "EX", _GONE))
        all_went = _send_wills(layer, shard, process)
        if not shard.call(("EXISTS", gone))[0]:
            return
        if all_went:
            remove_process(layer, shard, process)
        else:
            shard.call(("ZADD", shard.keys.servers, 1, process))
    except LayerUnavailable as error:
        logger.warning("Could not clean up after the server %s: %s", process, error)


def _send_wills(layer: RedisChannelLayer, shard: Shard, process: str) -> bool:
    """Whether all went; what was sent is forgotten, and counted for its channel."""
    key, end = shard.keys.wills(process), time.monotonic() + _WILLS_TIME
    while time.monotonic() < end:
        is_gone, reply = shard.ask(
            ("EXISTS", shard.keys.gone(process)), ("HSCAN", key, 0, "COUNT", _WILLS)
        )
        if not is_gone:
            return False
        found = reply[1] if reply else ()
        if not found:
            return True
        wills = {local: _checked(data) for local, data in zip(found[::2], found[1::2], strict=True)}
        refused = layer.deliver([will for will in wills.values() if will])
        names = _refused_locals(wills, refused)
        gone = [local for local in wills if local not in names]
        if gone:
            shard.call(("HDEL", key, *gone))
            _count(layer, [will.name for local in gone if (will := wills[local])])
        else:
            time.sleep(_PAUSE)
    return False


def _count(layer: RedisChannelLayer, channels: Sequence[str]) -> None:
    for channel, number in Tally(channels).items():
        layer.count(channel, Counter.RECOVERED, number)
        layer.note(channel, Counter.RECOVERED, number, detail="sockets of a server that died")


def _refused_locals(wills: dict[bytes, Envelope | None], refused: Sequence[Envelope]) -> set[bytes]:
    ids = {id(envelope) for envelope in refused}
    return {local for local, will in wills.items() if id(will) in ids}


def _checked(data: bytes) -> Envelope | None:
    """The will, if it can be sent: anybody may have written it."""
    will = unpack_will(data)
    try:
        return will if will and valid_channel_name(will.name) else None
    except InvalidName:
        return None
