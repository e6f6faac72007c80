"""The tutorial of Channels 1, step by step: only the names of the imports are new."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.acceptance.conftest import COMMANDS
from tests.acceptance.processes import Process, free_port, wait_until
from tests.conftest import RedisServer

CONSUMERS = """
def websocket_receive(message):
    text = message.content.get("text")
    if text:
        message.reply_channel.send({"text": "You said: {}".format(text)})


def make_thumbnail(message):
    with open(message.content["target"], "w") as result:
        result.write("image %s" % message.content["image_id"])
"""

ROUTING = """
from channels_classic.routing import route

from realtime.consumers import make_thumbnail, websocket_receive

channel_routing = [
    route("websocket.receive", websocket_receive, path=r"^/chat/"),
    route("thumbnailer", make_thumbnail),
]
"""

SETTINGS = """
INSTALLED_APPS += ["channels_classic", "realtime"]

CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
        "CONFIG": {{
            "hosts": [("localhost", {port})],
        }},
        "ROUTING": "realtime.routing.channel_routing",
    }},
}}
"""

ASGI = """
import os
from channels_classic.asgi import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djchan.settings")

channel_layer = get_channel_layer()
"""

SEND = """
from channels_classic import Channel

Channel("thumbnailer").send({{"image_id": 7, "target": {target!r}}})
"""


class Project:
    """What the reader of the tutorial has made, and the processes started from it."""

    def __init__(self, folder: Path, redis_port: int) -> None:
        self.folder = folder
        self.port = free_port()
        self.processes: list[Process] = []
        self.run(COMMANDS / "django-admin", "startproject", "djchan", ".")
        self.manage("startapp", "realtime")
        (folder / "realtime/consumers.py").write_text(CONSUMERS)
        (folder / "realtime/routing.py").write_text(ROUTING)
        (folder / "djchan/asgi.py").write_text(ASGI)
        with (folder / "djchan/settings.py").open("a") as settings:
            settings.write(SETTINGS.format(port=redis_port))
        self.manage("migrate", "--verbosity", "0")

    def start(self, *command: str | Path) -> Process:
        log = self.folder / f"{len(self.processes)}.log"
        self.processes.append(Process(command, log=log, cwd=self.folder))
        return self.processes[-1].start()

    def run(self, *command: str | Path) -> str:
        process = self.start(*command)
        assert process.wait(60) == 0, process.report()
        return process.output()

    def manage(self, *arguments: str) -> str:
        return self.run(sys.executable, "manage.py", *arguments)

    def runserver(self) -> None:
        """``manage.py runserver``, with its autoreloader."""
        server = self.start(sys.executable, "manage.py", "runserver", f"127.0.0.1:{self.port}")
        server.wait_for_port(self.port)

    def runworker(self) -> None:
        """``manage.py runworker`` in a process of its own."""
        self.start(sys.executable, "manage.py", "runworker").wait_for_line("Channels: ")

    def interface_server(self) -> None:
        """The command that stands where daphne stood."""
        command = COMMANDS / "channels-classic"
        server = self.start(command, "server", "djchan.asgi:channel_layer", "-p", str(self.port))
        server.wait_for_port(self.port)

    def stop(self) -> None:
        """End every process."""
        for process in self.processes:
            process.stop()
        self.processes.clear()

    def check_all_that_the_tutorial_shows(self) -> None:
        """Steps 9 to 12: the welcome page, the echo, the silence, the task."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=20) as answer:
            assert b"The install worked successfully! Congratulations!" in answer.read()
        with connect(f"ws://127.0.0.1:{self.port}/chat/") as socket:
            socket.send("hello world")
            assert socket.recv(timeout=10) == "You said: hello world"
        with (
            connect(f"ws://127.0.0.1:{self.port}/elsewhere/") as elsewhere,
            connect(f"ws://127.0.0.1:{self.port}/chat/") as chat,
        ):
            elsewhere.send("hello?")
            chat.send("later")
            assert chat.recv(timeout=10) == "You said: later"
            with pytest.raises(TimeoutError):
                elsewhere.recv(timeout=0.2)
            elsewhere.ping().wait(10)  # and the silent socket is still open
        self.check_the_task()

    def check_the_task(self) -> None:
        """A message to a channel of one's own, from anywhere in Django code."""
        target = self.folder / "thumbnail.txt"
        target.unlink(missing_ok=True)
        self.manage("shell", "-c", SEND.format(target=str(target)))
        wait_until(lambda: target.exists() and target.read_text() == "image 7", 10, "the task")


@pytest.fixture
def project(tmp_path: Path, own_redis: RedisServer) -> Iterator[Project]:
    port = free_port()
    own_redis.start(port=port)
    project = Project(tmp_path, port)
    yield project
    project.stop()


def test_the_tutorial_works_with_runserver_and_with_separate_processes(project: Project) -> None:
    project.runserver()
    project.check_all_that_the_tutorial_shows()
    project.stop()

    project.runworker()
    project.runworker()
    project.interface_server()
    project.check_all_that_the_tutorial_shows()
