"""Celery without results and rate limits, as its guide to optimizing advises."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.sites.tasks import work

app = Celery(broker=os.environ["BENCH_REDIS"].replace("unix:", "redis+socket:"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_disable_rate_limits=True,
    worker_prefetch_multiplier=64,
)
TASKS = {each.__name__: app.task(each) for each in (work.nothing, work.pause)}


def submit(task: str, number: int, sent: int) -> None:
    """Send one task; acknowledged when taken, so it runs at most once."""
    TASKS[task].delay(number, sent)
