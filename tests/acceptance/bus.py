"""Starts the processes of the site in ``bus_site`` and reads what their consumers wrote down."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer
from tests.acceptance.processes import Process, free_port, wait_until

SITE = Path(__file__).parent / "bus_site"
COMMANDS = Path(sys.executable).parent
#: How long a process may take to start on a busy machine, in seconds.
START = 40.0


class Note(NamedTuple):
    """One line of the journal. ``time`` is that of ``time.monotonic``, of all processes."""

    time: float
    pid: int
    what: str
    who: str
    number: str


class Journal:
    """What the consumers wrote down, in the order in which it happened."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()
        self._notes: list[Note] = []
        self._place = 0
        self._counts: Counter[str] = Counter()
        self._counted = 0

    def notes(self, what: str = "", who: object = "") -> list[Note]:
        """All so far, or those of one kind, or of one kind about one subject."""
        for line in self._from(self._place):
            self._place += len(line)
            self._notes.append(_note(line))
        return [
            note for note in self._notes if what in ("", note.what) and str(who) in ("", note.who)
        ]

    def count(self, what: str = "") -> int:
        """How many there are, or how many of one kind: for journals too long to be kept."""
        for line in self._from(self._counted):
            self._counted += len(line)
            self._counts[line.split(b" ", 3)[2].decode()] += 1
        return self._counts[what] if what else self._counts.total()

    def read(self) -> Iterator[Note]:
        """Each from the first on, one after another."""
        return map(_note, self._from(0))

    def _from(self, place: int) -> Iterator[bytes]:
        with self.file.open("rb") as file:
            file.seek(place)
            for line in file:
                if not line.endswith(b"\n"):  # it is being written
                    break
                yield line


def _note(line: bytes) -> Note:
    moment, pid, what, who, number = line.decode().split()
    return Note(float(moment), int(pid), what, who, number)


class BusSite:
    """The site on the Redis at a URL, with a prefix of its own; it ends all it started.

    ``config`` is added to the CONFIG of the layer, which is a ``backend``.
    """

    def __init__(
        self,
        folder: Path,
        redis_url: str = "",
        *,
        backend: type[RedisChannelLayer] = RedisChannelLayer,
        **config: Any,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.journal = Journal(folder / "journal")
        options = {"hosts": [redis_url], "prefix": f"{random_letters(8)}:", **config}
        self.layer = backend(**options)
        self.env = {
            "BUS_BACKEND": f"{backend.__module__}.{backend.__qualname__}",
            "BUS_CONFIG": json.dumps(options),
            "BUS_JOURNAL": str(self.journal.file),
            "DJANGO_SETTINGS_MODULE": "settings",
        }
        self.processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            for process in self.processes:
                error.add_note(process.report())
        self.stop()

    def stop(self) -> None:
        """End what still runs, all at once, and let go of the layer."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.stop()
        self.layer.close()

    def server(self, *options: str, port: int | None = None) -> Process:
        """Start an interface server, and wait until it listens on ``port``."""
        port = port or self.port
        command = [COMMANDS / "channels-classic", "server", "asgi:channel_layer", "-v", "0"]
        process = self._start("server", [*command, "-p", str(port), *options])
        process.wait_for_port(port, START)
        return process

    def worker(self, *options: str) -> Process:
        """Start a worker, and wait until it takes messages."""
        [worker] = self.workers(1, *options)
        return worker

    def workers(self, number: int, *options: str, ready: bool = True) -> list[Process]:
        """Start workers at the same time, and wait until they take messages."""
        command = [sys.executable, "manage.py", "runworker", "--skip-checks", *options]
        started = [self._start("worker", command) for _ in range(number)]
        for process in started if ready else []:
            process.wait_for_line("Channels: ", START)
        return started

    def run(self, *words: str) -> str:
        """What a ``channels-classic`` command prints, once it has ended well."""
        process = self._start("command", [COMMANDS / "channels-classic", *words])
        assert process.wait(START) == 0, process.report()
        return process.output()

    def url(self, path: str, scheme: str = "ws", port: int | None = None) -> str:
        """The address of a page or socket."""
        return f"{scheme}://127.0.0.1:{port or self.port}{path}"

    def wait_for_notes(
        self, number: int, what: str, who: object = "", *, timeout: float = 10
    ) -> list[Note]:
        """The notes of one kind, once there are so many."""

        def enough() -> list[Note] | None:
            notes = self.journal.notes(what, who)
            return notes if len(notes) >= number else None

        return wait_until(enough, timeout, f"{number} notes {what!r} {who}")

    def _start(self, name: str, command: list[str | os.PathLike[str]]) -> Process:
        log = self.folder / f"{name}-{len(self.processes)}.log"
        process = Process(command, log=log, env=self.env, cwd=SITE)
        self.processes.append(process)
        return process.start()


def rss(process: Process) -> float:
    """The memory that a process has in RAM, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [each for each in status.splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
