"""A site that is watched: metrics, traces and logs of real processes, and what reads them."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.conftest import Site
from tests.acceptance.otlp import Receiver
from tests.acceptance.processes import Process, free_port, wait_until
from tests.conftest import RedisServer

JSON, TRUSTED = ["--log-format", "json"], ["--proxy-headers", "127.0.0.1"]
METRICS = ["--metrics-path", "/-/metrics"]
CLASSIC = "channels_classic_"

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watched:
    """The site, and what it is watched with."""

    def __init__(self, site: Site, traces: Receiver) -> None:
        self.site = site
        self.traces = traces
        self.metrics_port = free_port()
        self.server = site.server("--processes", "2", *METRICS, *TRUSTED, *JSON)
        self.worker = site.worker("--metrics", str(self.metrics_port), *JSON)
        wait_until(lambda: self.server.output().count(" serves") == 2, 60, self.server.report())

    def get(self, path: str, method: str = "GET", **headers: str) -> int:
        """The status of a page, on a connection of its own: any of the processes takes it."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.site.address + path, method=method, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    @contextlib.contextmanager
    def sockets(self, number: int) -> Iterator[list[ClientConnection]]:
        """Open sockets, of whichever process takes them."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.socket("/echo/")) for _ in range(number)]

    def socket(self, path: str, **headers: str) -> connect:
        """An open socket, as a ``with`` block."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        address = f"ws://127.0.0.1:{self.site.port}{path}"
        return connect(address, open_timeout=40, additional_headers=named)

    def of_server(self) -> Figures:
        """What the server shows."""
        return scraped(f"{self.site.address}/-/metrics")

    def of_worker(self) -> Figures:
        """What the worker shows."""
        return scraped(f"http://127.0.0.1:{self.metrics_port}/metrics")

    def lines(self, process: Process) -> list[dict[str, str]]:
        """What a process has logged, each line an object."""
        complete = process.output().rpartition("\n")[0]
        return [json.loads(line) for line in complete.splitlines()]


def scraped(url: str) -> Figures:
    """All figures at ``url``, by name and labels, read by the library's own parser."""
    with urllib.request.urlopen(url, timeout=40) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figure(figures: Figures, name: str, **labels: str) -> float:
    """One of them; 0 when there is none."""
    return figures.get((CLASSIC + name, frozenset(labels.items())), 0)


def more(before: Figures, after: Figures, name: str, **labels: str) -> float:
    """By how much a figure has grown."""
    return figure(after, name, **labels) - figure(before, name, **labels)


@contextlib.contextmanager
def watching(folder: Path) -> Iterator[Watched]:
    """While the block runs, so do a server of two processes, a worker and a Redis."""
    redis = RedisServer(Path(tempfile.mkdtemp(prefix="channels-redis-")))
    redis.start()
    site = Site(folder, redis.url)
    try:
        with Receiver() as traces:
            site.env.update(traces.env)
            site.manage("migrate", "--verbosity", "0")
            yield Watched(site, traces)
            site.stop()
    finally:
        site.stop()
        redis.stop()
        shutil.rmtree(redis.folder)
