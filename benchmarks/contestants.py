"""Who takes part, by the name that the command line and the table have for it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import start_tasks, start_web
from benchmarks.site import Server
from benchmarks.start_bus import bus
from benchmarks.start_tasks import TASKS, Workers, tasks


@dataclass(frozen=True)
class Contestant:
    """A server under the name that the table shows, and the path of its echo.

    ``threaded`` is the same with eight threads in each worker process, where it has threads.
    """

    title: str
    server: Server
    ours: bool = False
    echo: str = "/echo/"
    threaded: Server | None = None


def of_tasks(
    title: str,
    module: str,
    workers: Workers,
    threaded: Workers | None = None,
    *,
    ours: bool = False,
    **settings: str,
) -> Contestant:
    """Who runs tasks, with ``workers`` or with ``threaded`` workers."""
    many = threaded and Server(f"{title}, 8 threads", tasks(module, threaded, **settings))
    server = Server(title, tasks(module, workers, **settings))
    return Contestant(title, server, ours=ours, threaded=many)


def of_ours(title: str, routing: str) -> Contestant:
    """Tasks of this project with the consumers in ``routing``."""
    return of_tasks(
        title,
        "with_classic",
        start_tasks.classic(1),
        start_tasks.classic(8),
        ours=True,
        BENCH_ROUTING=f"{TASKS}.{routing}",
    )


def of_bus(title: str, module: str, settings: str, **more: str) -> Contestant:
    """The two ends of a bus."""
    return Contestant(
        title, Server(title, bus(module, settings, **more)), ours=settings == "classic"
    )


def ours(workers: int) -> Contestant:
    """This project's server with so many workers."""
    title = f"ours, {workers} worker{'s' if workers > 1 else ''}"
    return Contestant(title, Server(title, start_web.classic(workers)), ours=True)


CORE_LAYER = "core.RedisChannelLayer"
PUBSUB_LAYER = "pubsub.RedisPubSubChannelLayer"
CORE = Server("Channels 4, core", start_web.channels4(CORE_LAYER))
PUBSUB = Server("Channels 4, pub/sub", start_web.channels4(PUBSUB_LAYER))
UNORDERED = Server("ours, no ordering", start_web.classic(2, "--no-ordering"))

CONTESTANTS = {
    "ours1": ours(1),
    "ours2": ours(2),
    "unordered": Contestant("ours, 2 workers, no ordering", UNORDERED, ours=True),
    "gunicorn": Contestant("gunicorn, 2 sync", Server("gunicorn", start_web.gunicorn)),
    "uvicorn": Contestant("uvicorn", Server("uvicorn", start_web.uvicorn)),
    "async": Contestant("Channels 4 async", CORE),
    "sync": Contestant("Channels 4 sync", CORE, echo="/sync-echo/"),
    "core": Contestant("Channels 4 core", CORE),
    "pubsub": Contestant("Channels 4 pub/sub", PUBSUB),
    "most": of_ours("ours, at most once", "at_most_once"),
    "least": of_ours("ours, at least once", "at_least_once"),
    "dramatiq": of_tasks(
        "dramatiq", "with_dramatiq", start_tasks.dramatiq(8), start_tasks.dramatiq(8)
    ),
    # Its default of two messages a thread keeps its workers waiting: both are worth knowing.
    "dramatiq-256": of_tasks(
        "dramatiq, prefetch 256",
        "with_dramatiq",
        start_tasks.dramatiq(1),
        start_tasks.dramatiq(8),
        dramatiq_queue_prefetch="256",
    ),
    # For tasks that do nothing, of its pools this one was the fastest.
    "celery": of_tasks(
        "Celery",
        "with_celery",
        start_tasks.celery("solo", 1, workers=2),
        start_tasks.celery("threads", 8, workers=2),
    ),
    "rq": of_tasks("RQ", "with_rq", start_tasks.rq),
    "single": of_bus("ours, one by one", "one_by_one", "classic"),
    "layer": of_bus("ours, in batches", "with_classic", "classic"),
    "redis-py": of_bus("redis-py one by one", "with_redis", "plain"),
    "core-bus": of_bus(
        "Channels 4 core",
        "with_channels4",
        "channels4",
        BENCH_LAYER=f"channels_redis.{CORE_LAYER}",
        BENCH_CAPACITY="1000000",
    ),
    "pubsub-bus": of_bus(
        "Channels 4 pub/sub",
        "with_channels4",
        "channels4",
        BENCH_LAYER=f"channels_redis.{PUBSUB_LAYER}",
        BENCH_CAPACITY="1000000",
    ),
}
