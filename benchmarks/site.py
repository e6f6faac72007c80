"""A running contestant, as the works see it; each kind of work asks for other things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process, Processes, Sender
from benchmarks.task_load import Records

SITES = "benchmarks.sites"


@dataclass(frozen=True)
class Site:
    """``pid`` is of the process to watch: when it is idle, the next work may begin."""

    pid: int


@dataclass(frozen=True)
class WebSite(Site):
    """Where it listens, how to send to its groups, and the socket of its Redis."""

    port: int
    send: Sender | None = None
    redis: Path | None = None


@dataclass(frozen=True)
class TaskSite(Site):
    """How to submit tasks, who runs them, and what the tasks have recorded."""

    send: Sender
    workers: tuple[Process, ...]
    records: Records

    @contextmanager
    def held(self) -> Iterator[None]:
        """All workers stand still meanwhile."""
        try:
            for worker in self.workers:
                worker.pause()
            yield
        finally:
            for worker in self.workers:
                worker.resume()


@dataclass(frozen=True)
class BusSite(Site):
    """The two ends of a bus; ``channel`` is what the receiver reads."""

    sender: Process
    receiver: Process
    channel: str


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
