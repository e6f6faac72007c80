"""docs/getting-started.rst, followed to the letter: the chat works, in one process or several."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.processes import Process, free_port
from tests.conftest import RedisServer
from tests.docs import blocks, built
from tests.docs.sandbox import SETTINGS, Sandbox

pytestmark = pytest.mark.timeout(400)  # the first of these may have to build the pages


class Reader:
    """Somebody who types what the page says; where the page says a port, a free one."""

    def __init__(self, folder: Path) -> None:
        self.site = Sandbox(folder / "site")
        self.blocks = blocks.of("getting-started", built.doctree("getting-started"))
        self.port = free_port()
        self.processes: list[Process] = []

    def write(self, *, layers: int, redis_port: int = 6379) -> None:
        """The files of the page, with so many of its settings."""
        files = [block for block in self.blocks if block.file and block.file != SETTINGS]
        settings = [block for block in self.blocks if block.file == SETTINGS]
        for block in [*files, *settings[:layers]]:
            here = block._replace(text=block.text.replace("6379", str(redis_port)))
            kind = self.site.file if block.language == "python" else self.site.template
            kind(here)

    def start(self, *command: str) -> Process:
        words = [str(self.port) if word == "8000" else word for word in command]
        log = self.site.folder / f"{len(self.processes)}.log"
        process = Process(words, log=log, cwd=self.site.folder, env=self.site.env)
        self.processes.append(process)
        return process.start()

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()

    def commands(self) -> str:
        return "".join(block.text for block in self.blocks if block.language == "console")

    def window(self) -> ClientConnection:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=20) as answer:
            assert b"/chat/kitchen/" in answer.read()
        return connect(f"ws://127.0.0.1:{self.port}/chat/kitchen/")

    def check_the_chat(self) -> None:
        with self.window() as one, self.window() as two:
            one.send("Hello")
            assert [each.recv(timeout=10) for each in (one, two)] == ["Hello", "Hello"]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.stop()


def test_the_chat_works_in_one_process(reader: Reader) -> None:
    reader.write(layers=1)
    reader.site.run("python", "manage.py", "migrate")
    assert "python manage.py runserver" in reader.commands()
    server = reader.start("python", "manage.py", "runserver", "8000")
    server.wait_for_port(reader.port)
    reader.check_the_chat()


def test_the_chat_works_in_several_processes_and_outlives_a_worker(
    reader: Reader, own_redis: RedisServer
) -> None:
    redis_port = free_port()
    own_redis.start(port=redis_port)
    reader.write(layers=2, redis_port=redis_port)
    command = "channels-classic server project.asgi:channel_layer --port 8000"
    assert command in reader.commands()
    assert "python manage.py runworker" in reader.commands()
    reader.start(*command.split()).wait_for_port(reader.port)
    worker = reader.start("python", "manage.py", "runworker")
    worker.wait_for_line("Channels: ")
    reader.check_the_chat()
    with reader.window() as window:
        worker.stop()
        window.send("Are you there?")
        reader.start("python", "manage.py", "runworker")
        assert window.recv(timeout=20) == "Are you there?"
