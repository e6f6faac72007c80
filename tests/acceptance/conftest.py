"""The split site: server, Redis and workers, each a process of its own; and a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.acceptance.browser import chromium
from tests.acceptance.processes import Process, free_port
from tests.conftest import RedisServer

SITE = Path(__file__).parent / "site"
COMMANDS = Path(sys.executable).parent


class Site:
    """Starts the processes of the site in ``tests/acceptance/site``."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.file = folder / "download.bin"
        self.env = {
            "SITE_REDIS": redis_url,
            "SITE_DATABASE": str(folder / "db.sqlite3"),
            "SITE_FILE": str(self.file),
        }
        self.processes: list[Process] = []

    @property
    def address(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        """Where the echo is."""
        return f"ws://127.0.0.1:{self.port}/echo/"

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        process = self._process("manage", [sys.executable, "manage.py", *arguments])
        assert process.start().wait(60) == 0, process.report()

    def server(self, *options: str) -> Process:
        """Start the interface server; it may not be listening yet."""
        command = [COMMANDS / "channels-classic", "server", "pages.asgi:channel_layer"]
        return self._process("server", [*command, "-p", str(self.port), *options]).start()

    def worker(self, *options: str, ready: bool = True) -> Process:
        """Start a worker, and wait until it takes messages."""
        number = len(self.processes)
        command = [sys.executable, "manage.py", "runworker", *options]
        process = self._process(f"worker-{number}", command).start()
        if ready:
            process.wait_for_line("Channels: ")
        return process

    def _process(self, name: str, command: list[str | os.PathLike[str]]) -> Process:
        process = Process(command, log=self.folder / f"{name}.log", env=self.env, cwd=SITE)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End what still runs."""
        for process in self.processes:
            process.stop()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    """Makes the site on the Redis at a URL; ends its processes after the test."""
    sites: list[Site] = []

    def make(redis_url: str) -> Site:
        sites.append(Site(tmp_path, redis_url))
        return sites[-1]

    yield make
    for site in sites:
        site.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for the tests of one module, as for a site that has no prefix of its own."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser; what its console says can be read."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def second_driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Somebody else's browser, with cookies and a console of its own."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver
