"""Dramatiq on Redis; how many messages it takes ahead, the environment may say."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.sites.tasks import work

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS"]))
ACTORS = {each.__name__: dramatiq.actor(each) for each in (work.nothing, work.pause)}


def submit(task: str, number: int, sent: int) -> None:
    """Send one task; acknowledged when done, so it runs at least once."""
    ACTORS[task].send(number, sent)
