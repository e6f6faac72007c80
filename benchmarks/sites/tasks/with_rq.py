"""RQ without results; its workers run the tasks themselves, in no process of their own."""

from __future__ import annotations

import os

from redis import Redis
from rq import Queue

from benchmarks.sites.tasks import work

TASKS = {each.__name__: each for each in (work.nothing, work.pause)}
waiting = Queue(connection=Redis.from_url(os.environ["BENCH_REDIS"]))


def submit(task: str, number: int, sent: int) -> None:
    """Send one task."""
    waiting.enqueue(TASKS[task], number, sent, result_ttl=0)
