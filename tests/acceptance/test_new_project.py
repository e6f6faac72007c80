"""``channels-classic new``: the project that it makes runs, in one process or several."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from websockets.sync.client import connect

from tests.acceptance.conftest import COMMANDS
from tests.acceptance.processes import Process, free_port, wait_until
from tests.conftest import RedisServer

ARTEFACTS = Path(__file__).parents[1] / "artefacts"


class Project:
    """A new project, and the processes started from it as its README says."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.port = free_port()
        self.folder = parent
        self._numbers = count()
        self.run(COMMANDS / "channels-classic", "new", "shop")
        self.folder = parent / "shop"
        self.processes: list[Process] = []

    def _process(self, *command: str | Path, **env: str) -> Process:
        log = self.parent / f"{next(self._numbers)}.log"
        return Process(command, log=log, cwd=self.folder, env={"DEBUG": "1", **env})

    def run(self, *command: str | Path) -> str:
        process = self._process(*command, PYTHONWARNINGS="error")
        assert process.start().wait(60) == 0, process.report()
        return process.output()

    def manage(self, *arguments: str) -> str:
        return self.run(sys.executable, "manage.py", *arguments)

    def start(self, *command: str | Path, **env: str) -> Process:
        self.processes.append(self._process(*command, **env))
        return self.processes[-1].start()

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
        self.processes.clear()

    def check(self) -> None:
        """The page and its files are there, the socket echoes, the task counts."""
        for path in ("", "static/talk/page.js", "static/channels_classic/websocketbridge.js"):
            with urllib.request.urlopen(f"{self.address}/{path}", timeout=20) as answer:
                assert answer.status == 200
        url = f"ws://127.0.0.1:{self.port}/talk/"
        with connect(url, origin=self.address, open_timeout=20) as socket:
            socket.send(json.dumps({"text": "hello wide world"}))
            answers = [json.loads(socket.recv(timeout=20)) for _ in range(2)]
        assert answers == [{"echo": "hello wide world"}, {"words": 3}]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("new"))


@pytest.fixture
def project(new: Project) -> Iterator[Project]:
    yield new
    new.stop()


def test_its_own_tests_pass(project: Project) -> None:
    assert "Ran 3 tests" in project.manage("test")
    assert "3 passed" in project.run(sys.executable, "-m", "pytest")


def test_it_is_well_formed(project: Project) -> None:
    project.manage("check")
    project.manage("makemigrations", "--check")
    ruff = COMMANDS / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is a tool of developers: pip install channels-classic[dev]")
    project.run(ruff, "format", "--isolated", "--check", ".")
    project.run(ruff, "check", "--isolated", "--select", "E,F,I,UP,B,SIM,RUF", ".")


def test_in_production_it_asks_for_a_key(project: Project) -> None:
    process = project.start(sys.executable, "manage.py", "check", DEBUG="0")
    assert process.wait() == 1
    assert "DEBUG is 0: set SECRET_KEY to a long random string" in process.output()
    env = {"DEBUG": "0", "SECRET_KEY": "k" * 50, "ALLOWED_HOSTS": "a.example,b.example"}
    asked = "from django.conf import settings; print(settings.ALLOWED_HOSTS)"
    process = project.start(sys.executable, "manage.py", "shell", "-v0", "-c", asked, **env)
    assert process.wait() == 0, process.report()
    assert process.output() == "['a.example', 'b.example']\n"


@pytest.mark.browser
def test_it_runs_in_one_process(project: Project, driver: webdriver.Chrome) -> None:
    project.manage("migrate")
    address = f"127.0.0.1:{project.port}"
    project.start(sys.executable, "manage.py", "runserver", address).wait_for_port(project.port)
    project.check()
    driver.get(project.address)
    driver.find_element(By.ID, "text").send_keys("hello world" + Keys.ENTER)
    log = driver.find_element(By.ID, "log")
    wait_until(lambda: log.text == "hello world\nWords: 2", 20, "what was said, and its words")
    assert driver.find_element(By.ID, "state").text == "Connected"
    assert driver.get_log("browser") == []
    driver.set_window_size(390, 800)
    overflow = "return document.documentElement.scrollWidth > innerWidth"
    assert not driver.execute_script(overflow)
    ARTEFACTS.mkdir(exist_ok=True)
    driver.save_screenshot(str(ARTEFACTS / "new-project.png"))


def test_it_comes_up_by_one_command(project: Project) -> None:
    command = COMMANDS / "channels-classic"
    try:
        up = project.start(command, "up", "--port", str(project.port))
        assert up.wait(120) == 0, up.report()
        project.check()
    finally:
        down = project.start(command, "down")
        assert down.wait(120) == 0, down.report()


def test_it_runs_in_several_processes(project: Project, own_redis: RedisServer) -> None:
    own_redis.start()
    env = {"REDIS_URL": own_redis.url}
    worker = project.start(sys.executable, "manage.py", "runworker", **env)
    command = [COMMANDS / "channels-classic", "server", "shop.asgi:channel_layer"]
    server = project.start(*command, "--port", str(project.port), **env)
    worker.wait_for_line("Channels: ")
    server.wait_for_port(project.port)
    project.check()
