"""The works of task libraries: submit many, run them all, and how soon one task starts."""

from __future__ import annotations

import time

from benchmarks.contestants import Contestant
from benchmarks.site import TaskSite
from benchmarks.sockets import percentile
from benchmarks.task_load import not_once
from benchmarks.work import WRONG, Figures, Metric, Scale, Work

#: Between two single tasks, in seconds: long enough for every worker to be idle again.
PAUSE = 0.02


def nothing(contestant: Contestant, site: TaskSite, scale: Scale) -> Figures:
    """No-op tasks: one by one to idle workers, then many at once."""
    late = _single(site, scale.single_tasks)
    many = _many(site, "nothing", count=scale.tasks, seconds=scale.submitting)
    return {
        "task": many["work"],
        "task submit": many["submit"],
        "task p50": late["p50"],
        "task p99": late["p99"],
        WRONG: many[WRONG] + late[WRONG],
    }


def pause(contestant: Contestant, site: TaskSite, scale: Scale) -> Figures:
    """Tasks that wait 5 ms."""
    many = _many(site, "pause", count=scale.pauses, seconds=60)
    return {"pause": many["work"], WRONG: many[WRONG]}


def _single(site: TaskSite, count: int) -> Figures:
    site.records.forget()
    site.send(to="nothing", first=0, count=count, gap=PAUSE)
    records = site.records.wait_for(count)
    late = [(each.started - each.sent) / 1e6 for each in records]
    return {
        "p50": percentile(late, 50),
        "p99": percentile(late, 99),
        WRONG: not_once(records, count),
    }


def _many(site: TaskSite, task: str, *, count: int, seconds: float) -> Figures:
    """Submit while the workers stand still, then let them work until nothing is left."""
    site.records.forget()
    with site.held():
        cost = site.send(to=task, first=0, count=count, seconds=seconds)
        began = time.monotonic_ns()
    records = site.records.wait_for(len(cost))
    last = max((each.ended for each in records), default=began)
    return {
        "submit": len(cost) / (sum(cost) / 1e9),
        "work": len(records) / max(last - began, 1) * 1e9,
        WRONG: not_once(records, len(cost)),
    }


ALL = ("most", "least", "dramatiq", "dramatiq-256", "celery", "rq")

WORKS = (
    Work(
        "tasks",
        ALL,
        (
            Metric("task", "no-op tasks, 2 processes", "/s"),
            Metric("task submit", "- submitted by one process", "/s"),
            Metric("task p50", "single task, submit to start: p50", "ms"),
            Metric("task p99", "- p99", "ms"),
        ),
        nothing,
        fresh=True,
    ),
    Work(
        "tasks",
        ALL[:5],
        (Metric("pause", "5 ms tasks, 2 processes, 8 threads", "/s"),),
        pause,
        fresh=True,
        threaded=True,
    ),
)
