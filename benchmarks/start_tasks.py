"""How each task library is started: two worker processes, as its own pages advise for speed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import Process, Processes, Sender
from benchmarks.site import SITES, Start, TaskSite
from benchmarks.task_load import Records

TASKS = f"{SITES}.tasks"

#: Starts the workers with these settings in the environment.
Workers = Callable[[Processes, dict[str, str]], list[Process]]


def tasks(module: str, workers: Workers, **settings: str) -> Start:
    """Redis, a process that submits through ``module``, and the workers, all warm."""

    def start(processes: Processes) -> TaskSite:
        path = processes.folder / "records"
        path.touch()
        environment = {
            "BENCH_REDIS": processes.redis(),
            "BENCH_RECORDS": str(path),
            "DJANGO_SETTINGS_MODULE": f"{SITES}.classic.settings",
            **settings,
        }
        send = Sender(processes.talker(f"{TASKS}.sender", module, **environment))
        running = workers(processes, environment)
        site = TaskSite(running[0].pid, send, tuple(running), Records(path))
        _warm_up(site)
        return site

    return start


def _warm_up(site: TaskSite) -> None:
    """Submit tasks until two processes have run some, and wait until all are done."""
    submitted = 0

    def both() -> bool:
        nonlocal submitted
        done = site.records.read()
        if len(done) < submitted:
            return False
        if len({each.process for each in done}) == 2:
            return True
        submitted += len(site.send(to="pause", first=submitted, count=40))
        return False

    for worker in site.workers:
        worker.wait_until(both)
    site.records.forget()


def classic(threads: int) -> Workers:
    """Two ``runworker`` processes of this project."""
    return _twice("django", "runworker", "-v", "0", "--threads", str(threads))


def celery(pool: str, concurrency: int, *, workers: int) -> Workers:
    """So many workers of Celery; what they tell each other is switched off."""

    def start(processes: Processes, settings: dict[str, str]) -> list[Process]:
        options = ["--pool", pool, "--concurrency", str(concurrency), "--loglevel", "ERROR"]
        options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        command = ["--quiet", "--app", f"{TASKS}.with_celery", "worker", *options]
        return [
            processes.python(
                f"celery{number}", "celery", *command, "--hostname", str(number), **settings
            )
            for number in range(workers)
        ]

    return start


def dramatiq(threads: int) -> Workers:
    """Dramatiq's own two processes."""

    def start(processes: Processes, settings: dict[str, str]) -> list[Process]:
        options = ["--processes", "2", "--threads", str(threads), "--skip-logging"]
        return [
            processes.python("dramatiq", "dramatiq", f"{TASKS}.with_dramatiq", *options, **settings)
        ]

    return start


def rq(processes: Processes, settings: dict[str, str]) -> list[Process]:
    """Two workers of RQ that fork no process for a task."""
    program = Path(sys.executable).with_name("rq")
    options = ["--worker-class", "rq.SimpleWorker", "--quiet", "--url", settings["BENCH_REDIS"]]
    options += ["--disable-job-desc-logging"]
    return [
        processes.start(f"rq{number}", str(program), "worker", *options, **settings)
        for number in range(2)
    ]


def _twice(module: str, *arguments: str) -> Workers:
    def start(processes: Processes, settings: dict[str, str]) -> list[Process]:
        return [
            processes.python(f"worker{number}", module, *arguments, **settings)
            for number in range(2)
        ]

    return start
