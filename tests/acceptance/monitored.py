"""The site that is watched by the live page: its processes, its people and what is sent to it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer
from tests.acceptance.processes import Process, free_port

SITE = Path(__file__).parent / "monitor_site"
COMMANDS = Path(sys.executable).parent
#: Makes the tables and the people of the site, one who may act, one who may look and one who may
#: not, and prints the keys of their sessions.
_PEOPLE = """
import json
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)

def key_of(user):
    client = Client()
    client.force_login(user)
    return client.session.session_key

print(json.dumps({
    "boss": key_of(User.objects.create_superuser("boss")),
    "clerk": key_of(User.objects.create_user("clerk", is_staff=True)),
    "guest": key_of(User.objects.create_user("guest")),
}))
"""


class WatchedSite:
    """On the Redis at a URL, with a prefix of its own."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        prefix = f"{random_letters(8)}:"
        self.env = {
            "MONITOR_REDIS": redis_url,
            "MONITOR_PREFIX": prefix,
            "MONITOR_DATABASE": str(folder / "db.sqlite3"),
            "DJANGO_SETTINGS_MODULE": "settings",
            "COLUMNS": "200",
        }
        options = {"prefix": prefix, "expiry": 600, "capacity": 10_000}
        self.layer = RedisChannelLayer(hosts=[redis_url], **options)
        self.processes: list[Process] = []
        #: The keys of the sessions of the people, by their names.
        self.sessions: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """A database with people in it."""
        printed = self.manage("shell", "--verbosity", "0", "--command", _PEOPLE)
        self.sessions = json.loads(printed)

    def manage(self, *words: str) -> str:
        """What a management command prints, once it has ended well."""
        process = self._start("manage", [sys.executable, "manage.py", *words])
        assert process.wait(60) == 0, process.report()
        return process.output()

    def server(self) -> Process:
        """Start the interface server, and wait until it listens."""
        command = [COMMANDS / "channels-classic", "server", "asgi:channel_layer"]
        process = self._start("server", [*command, "-p", str(self.port)])
        process.wait_for_port(self.port)
        return process

    def worker(self, *options: str) -> Process:
        """Start a worker, and wait until it takes messages."""
        command = [sys.executable, "manage.py", "runworker", "--skip-checks", *options]
        process = self._start("worker", command)
        process.wait_for_line("Channels: ")
        return process

    def command(self, name: str, *options: str) -> str:
        """What ``channels-classic NAME`` prints, once it has ended well."""
        words = [COMMANDS / "channels-classic", name, "asgi:channel_layer", *options]
        process = self._start(name, words)
        assert process.wait(60) == 0, process.report()
        return process.output()

    def stats(self, *options: str) -> dict[str, Any]:
        """The figures, as scripts get them."""
        found: dict[str, Any] = json.loads(self.command("stats", "--json", *options))
        return found

    def top(self) -> tuple[str, dict[str, dict[str, Any]]]:
        """A frame of ``top``: the line of totals, and what stands below each head by channel."""
        lines = self.command("top", "--once").splitlines()
        [head] = [line.split() for line in lines if line.startswith("CHANNEL")]
        rows = [line.split() for line in lines if re.match(r"(work|http|websocket)\.\S+ +\d", line)]
        return lines[1], {row[0]: dict(zip(head, _numbers(row), strict=True)) for row in rows}

    def send(self, channel: str, number: int, **content: Any) -> None:
        """``number`` messages to ``channel``."""
        for each in range(number):
            self.layer.send(channel, {"number": each, **content})

    @contextmanager
    def sockets(self, number: int) -> Iterator[None]:
        """``number`` sockets, which are open in the block."""
        with ExitStack() as stack:
            for _ in range(number):
                stack.enter_context(connect(f"ws://127.0.0.1:{self.port}/open/", proxy=None))
            yield

    def stop(self) -> None:
        """End what still runs, all at once."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.stop()
        self.layer.close()

    def _start(self, name: str, command: list[str | os.PathLike[str]]) -> Process:
        log = self.folder / f"{name}-{len(self.processes)}.log"
        process = Process(command, log=log, env=self.env, cwd=SITE)
        self.processes.append(process)
        return process.start()


def _numbers(row: list[str]) -> list[Any]:
    """The cells of a row of ``top``; a duration is two words."""
    words = [word for word in row[1:] if word not in ("s", "min", "h", "d")]
    return [row[0], *(float(word.replace(",", "")) if word != "-" else None for word in words)]
