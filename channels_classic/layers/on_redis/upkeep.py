"""What concerns the keys of a whole shard: statistics, and removing everything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from channels_classic.layers.counters import Counter, no_counts
from channels_classic.layers.on_redis.shard import Shard

_COUNTERS = tuple(map(str, Counter))
_GLOB = re.compile(r"[*?\[\]\\]")


def flush(shard: Shard) -> None:
    """Remove every key of the layer."""
    for found in _scan(shard, shard.keys.prefix):
        shard.call(("UNLINK", *found))


def channel_statistics(shard: Shard, name: str) -> dict[str, float]:
    """The counters of a channel or a process, and what waits there."""
    stream = shard.keys.inbox(name) if name.endswith("!") else shard.keys.channel(name)
    counts, length, first, (seconds, micros) = shard.call(
        ("HMGET", shard.keys.stats(name), *_COUNTERS),
        ("XLEN", stream),
        ("XRANGE", stream, "-", "+", "COUNT", 1),
        ("TIME",),
    )
    began = int(first[0][0].split(b"-")[0]) / 1000 if first else None
    now = int(seconds) + int(micros) / 1e6
    return {
        **_numbers(counts),
        "messages_pending": length,
        "messages_max_age": max(0.0, now - began) if began else 0.0,
    }


def global_statistics(shard: Shard) -> dict[str, float]:
    """The counters of all channels and processes together."""
    return summed(
        _numbers(counts)
        for found in _scan(shard, shard.keys.stats_prefix)
        for counts in shard.call(*(("HMGET", key, *_COUNTERS) for key in found))
    )


def survey(shard: Shard) -> tuple[set[str], int]:
    """The channels and processes for which something was counted, and how many groups there are.

    It looks at the name of every key.
    """
    counted, groups = shard.keys.stats_prefix.encode(), shard.keys.group_prefix.encode()
    names: set[str] = set()
    number = 0
    for found in _scan(shard, shard.keys.prefix):
        names.update(
            key[len(counted) :].decode("ascii", "replace").strip("{}")
            for key in found
            if key.startswith(counted)
        )
        number += sum(key.startswith(groups) for key in found)
    return names, number


def summed(counts: Iterable[dict[str, float]]) -> dict[str, float]:
    """The sum of each number; the oldest age is the greatest."""
    totals = no_counts()
    for each in counts:
        for key, number in each.items():
            so_far = totals.get(key, 0)
            totals[key] = max(so_far, number) if key.endswith("_age") else so_far + number
    return totals


def _numbers(counts: Iterable[Any]) -> dict[str, float]:
    return {key: int(count or 0) for key, count in zip(_COUNTERS, counts, strict=True)}


def _scan(shard: Shard, prefix: str) -> Iterator[list[bytes]]:
    pattern = _GLOB.sub(r"\\\g<0>", prefix) + "*"
    cursor = b"0"
    while True:
        [(cursor, found)] = shard.call(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
        if found:
            yield found
        if cursor == b"0":
            return
