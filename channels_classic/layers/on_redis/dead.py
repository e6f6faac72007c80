"""The dead letters on Redis: a stream on each shard."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from channels_classic.exceptions import ChannelFull, UndecodableMessage
from channels_classic.layers.on_redis.plan import PAYLOAD
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import BURY, Command
from channels_classic.layers.traffic import DeadLetter, Delivery, Envelope, Reasons

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

#: Letters that are read in one round trip.
_SLICE = 100
#: The id of a letter: the number of its shard, and the id of its entry there.
_ID = re.compile(r"(\d{1,4})-(\d{1,20}-\d{1,20})")
#: Characters of an error and of a traceback that are kept.
_ERROR, _TRACEBACK = 1000, 20_000


def bury_command(layer: RedisChannelLayer, delivery: Delivery, reasons: Reasons) -> Command:
    """The command that adds the message to the dead letters."""
    shard = delivery.token.shard
    keys = [shard.keys.dead, shard.keys.stats(delivery.channel)]
    fields = (
        *("channel", delivery.channel, PAYLOAD, delivery.payload),
        *("attempts", delivery.attempts + 1),
        *("error", reasons.error[:_ERROR], "traceback", reasons.traceback[-_TRACEBACK:]),
        *("worker", reasons.worker),
    )
    return BURY.command(keys, [layer.dead_limit, *fields])


def letters(layer: RedisChannelLayer, channel: str | None) -> Iterator[DeadLetter]:
    """The dead letters, oldest first."""
    shards = (_on_shard(number, shard) for number, shard in enumerate(layer.shards))
    for letter in heapq.merge(*shards, key=lambda letter: letter.died):
        if channel is None or letter.channel == channel:
            yield letter


def read(
    layer: RedisChannelLayer, shard: Shard, entries: Iterable[tuple[bytes, Sequence[bytes]]]
) -> Iterator[DeadLetter]:
    """The letters in entries that were found on ``shard``."""
    number = layer.shards.index(shard)
    for entry_id, fields in entries:
        yield _letter(f"{number}-{entry_id.decode()}", _values(fields), shard)


def one(layer: RedisChannelLayer, id_: str) -> DeadLetter | None:
    """The letter with this id, if there is one; anything may be asked for."""
    found = _ID.fullmatch(id_)
    if found is None or int(found[1]) >= len(layer.shards):
        return None
    shard = layer.shards[int(found[1])]
    [entries] = shard.call(("XRANGE", shard.keys.dead, found[2], found[2]))
    return _letter(id_, _values(entries[0][1]), shard) if entries else None


def _values(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=False))


def _on_shard(number: int, shard: Shard) -> Iterator[DeadLetter]:
    for entry_id, values in _entries(shard):
        yield _letter(f"{number}-{entry_id.decode()}", values, shard)


def _entries(shard: Shard) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    after = "-"
    while True:
        [found] = shard.call(("XRANGE", shard.keys.dead, after, "+", "COUNT", _SLICE))
        for entry_id, fields in found:
            yield entry_id, _values(fields)
        if len(found) < _SLICE:
            return
        after = f"({found[-1][0].decode()}"


def _letter(name: str, values: dict[bytes, bytes], shard: Shard) -> DeadLetter:
    def text(key: bytes) -> str:
        return values.get(key, b"").decode("utf-8", "replace")

    try:
        content = shard.codec.decode(values.get(PAYLOAD, b""))
    except UndecodableMessage:
        content = None
    attempts = text(b"attempts")
    return DeadLetter(
        id=name,
        channel=text(b"channel"),
        content=content,
        attempts=int(attempts) if attempts.isdigit() else 0,
        error=text(b"error"),
        traceback=text(b"traceback"),
        worker=text(b"worker"),
        died=int(name.split("-")[1]) / 1000,
    )


def requeue(layer: RedisChannelLayer, found: Iterable[DeadLetter]) -> int:
    """Put the messages back, one after the other; each leaves the dead letters when it is there."""
    number = 0
    for letter in found:
        shard, entry_id = _place(layer, letter)
        [entries] = shard.call(("XRANGE", shard.keys.dead, entry_id, entry_id))
        if not entries:
            continue
        payload = _values(entries[0][1]).get(PAYLOAD, b"")
        if layer.deliver([Envelope(letter.channel, payload)]):
            raise ChannelFull(f"{letter.channel} is full: {ChannelFull.__doc__}")
        number += delete(layer, [letter])
    return number


def delete(layer: RedisChannelLayer, found: Iterable[DeadLetter]) -> int:
    """Remove the letters; returns how many there were."""
    number = 0
    for letter in found:
        shard, entry_id = _place(layer, letter)
        number += int(shard.call(("XDEL", shard.keys.dead, entry_id))[0])
    return number


def _place(layer: RedisChannelLayer, letter: DeadLetter) -> tuple[Shard, str]:
    number, _, entry_id = letter.id.partition("-")
    return layer.shards[int(number)], entry_id
