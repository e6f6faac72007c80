"""Who takes part, and how each is started: its own processes, its own Redis, equal settings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process, Processes, Sender, free_port, redis_ask, says_hello

SITES = "benchmarks.sites"
#: What our own server asks of uvicorn, too.
UVICORN = ["--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio"]
UVICORN += ["--no-access-log", "--log-level", "warning", "--no-server-header", "--no-proxy-headers"]
UVICORN += ["--ws-per-message-deflate", "false"]


@dataclass(frozen=True)
class Site:
    """A running contestant: where it listens, its server's pid, and how to send to its groups."""

    port: int
    pid: int
    send: Sender | None = None


Start = Callable[[Processes], Site]


@dataclass(frozen=True)
class Server:
    """A set of processes that serve one site."""

    name: str
    start: Start

    @contextmanager
    def running(self) -> Iterator[Site]:
        """The site, started and ready; ended on the way out."""
        with Processes() as processes:
            yield self.start(processes)


@dataclass(frozen=True)
class Contestant:
    """A server under the name that the table shows, and the path of its echo."""

    title: str
    server: Server
    ours: bool = False
    echo: str = "/echo/"


def gunicorn(processes: Processes) -> Site:
    """Plain Django under gunicorn with two synchronous workers."""
    port = free_port()
    process = processes.python(
        "gunicorn",
        "gunicorn",
        *("--workers", "2", "--worker-class", "sync", "--log-level", "error"),
        *("--bind", f"127.0.0.1:{port}", f"{SITES}.plain.wsgi:application"),
        DJANGO_SETTINGS_MODULE=f"{SITES}.plain.settings",
    )
    process.wait_until(lambda: says_hello(port))
    return Site(port, process.pid)


def uvicorn(processes: Processes) -> Site:
    """Plain Django under uvicorn."""
    return _uvicorn(processes, "plain")


def channels4(layer: str) -> Start:
    """Channels 4 under uvicorn, with this layer of channels_redis."""

    def start(processes: Processes) -> Site:
        settings = {
            "DJANGO_SETTINGS_MODULE": f"{SITES}.channels4.settings",
            "BENCH_LAYER": f"channels_redis.{layer}",
            "BENCH_REDIS": processes.redis(),
        }
        site = _uvicorn(processes, "channels4", **settings)
        sender = processes.python("sender", f"{SITES}.channels4.sender", **settings)
        return Site(site.port, site.pid, Sender(sender))

    return start


def classic(workers: int) -> Start:
    """This project: Redis, its interface server, and so many ``runworker`` processes."""

    def start(processes: Processes) -> Site:
        port, redis = free_port(), processes.redis()
        settings = {
            "DJANGO_SETTINGS_MODULE": f"{SITES}.classic.settings",
            "BENCH_REDIS": redis,
        }
        program = Path(sys.executable).with_name("channels-classic")
        server = processes.start(
            "server",
            *(str(program), "server", f"{SITES}.classic.asgi:channel_layer", "--verbosity", "0"),
            *("--bind", "127.0.0.1", "--port", str(port)),
            **settings,
        )
        running = [
            processes.python(f"worker{number}", "django", "runworker", "-v", "0", **settings)
            for number in range(workers)
        ]
        server.wait_until(lambda: says_hello(port))
        _wait_for_workers(running, Path(redis.removeprefix("unix://")))
        sender = processes.python("sender", f"{SITES}.classic.sender", **settings)
        return Site(port, server.pid, Sender(sender))

    return start


def _uvicorn(processes: Processes, site: str, **settings: str) -> Site:
    port = free_port()
    settings.setdefault("DJANGO_SETTINGS_MODULE", f"{SITES}.{site}.settings")
    application = f"{SITES}.{site}.asgi:application"
    process = processes.python(
        "uvicorn", "uvicorn", application, "--port", str(port), *UVICORN, **settings
    )
    process.wait_until(lambda: says_hello(port))
    return Site(port, process.pid)


def _wait_for_workers(workers: list[Process], redis: Path) -> None:
    """Until as many clients of Redis block in a read of channels as there are workers."""
    for worker in workers:
        worker.wait_until(
            lambda: redis_ask(redis, "CLIENT LIST").count(b"cmd=xreadgroup") >= len(workers)
        )


CORE = Server("channels4-core", channels4("core.RedisChannelLayer"))
PUBSUB = Server("channels4-pubsub", channels4("pubsub.RedisPubSubChannelLayer"))

CONTESTANTS = {
    "ours1": Contestant("ours, 1 worker", Server("ours1", classic(1)), ours=True),
    "ours2": Contestant("ours, 2 workers", Server("ours2", classic(2)), ours=True),
    "gunicorn": Contestant("gunicorn, 2 sync", Server("gunicorn", gunicorn)),
    "uvicorn": Contestant("uvicorn", Server("uvicorn", uvicorn)),
    "async": Contestant("Channels 4 async", CORE),
    "sync": Contestant("Channels 4 sync", CORE, echo="/sync-echo/"),
    "core": Contestant("Channels 4 core", CORE),
    "pubsub": Contestant("Channels 4 pub/sub", PUBSUB),
}
