"""How each web site is started: its own processes, its own Redis, equal settings."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.processes import (
    Process,
    Processes,
    Sender,
    free_port,
    redis_ask,
    says_hello,
    socket_of,
)
from benchmarks.site import SITES, Start, WebSite

#: What our own server asks of uvicorn, too.
UVICORN = ["--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio"]
UVICORN += ["--no-access-log", "--log-level", "warning", "--no-server-header", "--no-proxy-headers"]
UVICORN += ["--ws-per-message-deflate", "false"]


def gunicorn(processes: Processes) -> WebSite:
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
    return WebSite(process.pid, port)


def uvicorn(processes: Processes) -> WebSite:
    """Plain Django under uvicorn."""
    return _uvicorn(processes, "plain")


def channels4(layer: str) -> Start:
    """Channels 4 under uvicorn, with this layer of channels_redis."""

    def start(processes: Processes) -> WebSite:
        redis = processes.redis()
        settings = {
            "DJANGO_SETTINGS_MODULE": f"{SITES}.channels4.settings",
            "BENCH_LAYER": f"channels_redis.{layer}",
            "BENCH_REDIS": redis,
        }
        site = _uvicorn(processes, "channels4", **settings)
        send = Sender(processes.talker(f"{SITES}.channels4.sender", **settings))
        return WebSite(site.pid, site.port, send, socket_of(redis))

    return start


def classic(workers: int, *options: str) -> Start:
    """This project: Redis, so many ``runworker`` processes, its server with ``options``."""

    def start(processes: Processes) -> WebSite:
        port, redis = free_port(), processes.redis()
        settings = {
            "DJANGO_SETTINGS_MODULE": f"{SITES}.classic.settings",
            "BENCH_REDIS": redis,
        }
        program = Path(sys.executable).with_name("channels-classic")
        server = processes.start(
            "server",
            *(str(program), "server", f"{SITES}.classic.asgi:channel_layer", "--verbosity", "0"),
            *("--bind", "127.0.0.1", "--port", str(port), *options),
            **settings,
        )
        running = [
            processes.python(f"worker{number}", "django", "runworker", "-v", "0", **settings)
            for number in range(workers)
        ]
        server.wait_until(lambda: says_hello(port))
        _wait_for_workers(running, socket_of(redis))
        send = Sender(processes.talker(f"{SITES}.classic.sender", **settings))
        return WebSite(server.pid, port, send, socket_of(redis))

    return start


def _uvicorn(processes: Processes, site: str, **settings: str) -> WebSite:
    port = free_port()
    settings.setdefault("DJANGO_SETTINGS_MODULE", f"{SITES}.{site}.settings")
    application = f"{SITES}.{site}.asgi:application"
    process = processes.python(
        "uvicorn", "uvicorn", application, "--port", str(port), *UVICORN, **settings
    )
    process.wait_until(lambda: says_hello(port))
    return WebSite(process.pid, port)


def _wait_for_workers(workers: list[Process], redis: Path) -> None:
    """Until as many clients of Redis block in a read of channels as there are workers."""
    for worker in workers:
        worker.wait_until(
            lambda: redis_ask(redis, "CLIENT LIST").count(b"cmd=xreadgroup") >= len(workers)
        )
