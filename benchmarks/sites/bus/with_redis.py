"""No bus: redis-py alone, a list, one message after the other."""

from __future__ import annotations

import os

import msgpack
from redis import Redis

from benchmarks.sites.bus.ends import LAST, SILENCE, TEXT, Check, batches, main

redis = Redis.from_url(os.environ["BENCH_REDIS"])


def send(channel: str, seconds: float) -> int:
    """One LPUSH for each message."""
    sent = 0
    for batch in batches(seconds):
        for number in batch:
            redis.lpush(channel, msgpack.packb({"number": number, "text": TEXT}))
        sent += len(batch)
    redis.lpush(channel, msgpack.packb({"number": LAST, "text": TEXT}))
    return sent


def receive(check: Check) -> None:
    """One BRPOP for each message."""
    while not check.over and (found := redis.brpop(["bench"], timeout=SILENCE)):
        check.got(msgpack.unpackb(found[1])["number"])


if __name__ == "__main__":
    main(send, "bench", receive)
