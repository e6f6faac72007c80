"""``channels-classic up``: the example site by one command, its death and its new code."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels_classic.up.control import Supervisor
from channels_classic.up.state import Relative, State
from tests.acceptance.processes import Process, free_port, wait_until
from tests.acceptance.watched import figure, scraped

#: Each test starts some twenty processes, one after the other.
pytestmark = pytest.mark.timeout(400)

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("channels-classic")


class UpSite:
    """A copy of the example site, and what a person does with it in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "site"
        ignore = shutil.ignore_patterns("var", "media", ".channels", "__pycache__")
        shutil.copytree(ROOT / "workers", self.folder, ignore=ignore)
        self.port = free_port()
        self.env = {
            **{k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
            "VAR_FOLDER": str(folder / "var"),
            "REDIS_URL": "",
        }
        self.state = State(self.folder / ".channels")

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=self.folder, env=self.env, check=True, timeout=120)

    def run(self, *arguments: str, status: int = 0) -> str:
        """What the command prints; it must end with ``status``."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def up(self, *options: str, status: int = 0) -> str:
        return self.run("up", "--port", str(self.port), *options, status=status)

    def pids(self) -> dict[str, int]:
        """That of each process that supervisord has started, by name."""
        return {each.name: each.pid for each in Supervisor(self.state).processes()}

    def left(self) -> list[Relative]:
        """What still runs of it."""
        return self.state.relatives()

    def page(self, path: str = "/") -> str:
        address = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(address, timeout=20) as answer:
            return str(answer.read().decode())

    @property
    def socket(self) -> str:
        """Where the echo is."""
        return f"ws://127.0.0.1:{self.port}/echo/"

    def visit_until(self, is_over: threading.Event) -> list[int]:
        """The status of each visit to the start page."""
        found = []
        while not is_over.is_set():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=30) as answer:
                found.append(answer.status)
        return found

    def increment(self) -> int:
        """Add one to the counter; its new value."""
        address = f"http://127.0.0.1:{self.port}/api/counter/increment/"
        with urllib.request.urlopen(address, data=b"", timeout=30) as answer:
            return int(json.load(answer)["value"])

    def close(self) -> None:
        """End all of it, whatever the test has left."""
        if pid := self.state.supervisord():
            os.kill(pid, signal.SIGKILL)
        for each in self.left():
            os.kill(each.pid, signal.SIGKILL)


@contextmanager
def copied_site() -> Iterator[UpSite]:
    """The site, down, with its database migrated; nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="up-") as name:  # socket paths must be short
        site = UpSite(Path(name))
        try:
            yield site
        finally:
            for log in sorted(site.state.path.glob("*.log")):
                print(
                    f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-20:], sep="\n"
                )
            site.close()


@pytest.fixture
def site() -> Iterator[UpSite]:
    """The site for one test, down."""
    with copied_site() as site:
        yield site


def said(socket: ClientConnection, text: str) -> str | bytes:
    """What comes back for ``text``."""
    socket.send(text)
    return socket.recv(timeout=30)


def echoes(socket: ClientConnection) -> bool:
    """Whether what is said comes back; what was lost in an outage is said again."""
    text = str(uuid.uuid4())
    socket.send(text)
    with contextlib.suppress(TimeoutError):
        while socket.recv(timeout=2) != f"You said: {text}":
            pass
        return True
    return False


def test_one_command_brings_the_site_up_and_one_takes_it_down(site: UpSite) -> None:
    options = ["--processes", "1", "--metrics", str(free_port())]
    said = site.up(*options)
    for name in ("redis", "worker ×2", "server"):
        assert f"{name}: starting… ready (" in said
    assert f"The site is up: http://127.0.0.1:{site.port}/" in said
    assert "<h1" in site.page()
    found = json.loads(site.run("status", "--json"))
    assert (found["ready"], found["address"]) == (True, f"http://127.0.0.1:{site.port}/")
    assert {each["name"] for each in found["processes"] if each["state"] == "RUNNING"} == {
        *("redis", "worker-0", "worker-1", "server"),
    }
    assert "Metrics: the server's at /-/metrics, the workers' on ports " in said
    see_the_metrics(site)
    options += ["--redis", "private"]
    assert "was up already" in site.up(*options)
    see_supervisord_die_and_come_back(site, *options)
    assert "worker-1: stopped" in site.run("down")
    assert site.left() == []
    assert "is not up" in site.run("status", status=1)
    assert "was not up" in site.run("down")


def see_the_metrics(site: UpSite) -> None:
    """Of the server, and of each worker on a port of its own."""
    server = f"http://127.0.0.1:{site.port}/-/metrics"
    assert figure(scraped(server), "server_processes") == 1
    logs = [site.state.path / f"worker-{n}.log" for n in (0, 1)]
    workers = {re.findall(r"Metrics: (http\S+)", log.read_text())[-1] for log in logs}
    assert len(workers) == 2
    assert [figure(scraped(worker), "bus_up") for worker in workers] == [1, 1]


def see_supervisord_die_and_come_back(site: UpSite, *options: str) -> None:
    """The others go on without it; the next ``up`` ends them, and starts all anew."""
    before = set(site.pids().values())
    os.kill(site.state.supervisord() or 0, signal.SIGKILL)
    wait_until(lambda: site.state.supervisord() is None)
    assert "supervisord was killed" in site.run("status", status=1)
    assert "<h1" in site.page()
    assert "ending what it has left: redis (" in site.up(*options)
    assert len(set(site.pids().values()) - before) == len(before)
    assert not before & {each.pid for each in site.left()}


# Death ------------------------------------------------------------------------------------

#: Seconds within which all is to be well again on a machine that has nothing else to do, and here.
PROMISED, ALLOWED = 5, 60


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def serving(site: UpSite, server: int) -> set[int]:
    """Which processes of the server are ready."""
    log = site.state.log("server").read_text()
    return {pid for pid in children(server) if f"Process {pid} serves" in log}


@pytest.mark.browser
def test_each_process_that_is_killed_is_back_within_seconds_and_sockets_stay(
    site: UpSite, driver: webdriver.Chrome
) -> None:
    settings = site.folder / "project" / "settings.py"
    settings.write_text(settings.read_text() + 'INSTALLED_APPS += ["channels_classic.delay"]\n')
    site.manage("migrate", "--verbosity", "0")
    site.up("--redis", "private")
    with connect(site.socket) as socket:
        assert said(socket, "hello") == "You said: hello"
        told = site.up("--delay", "--group", "tasks=thumbnailer:1", "--redis", "private")
        for line in ("worker: changed", "tasks: new", "delay: new", "tasks ×1: starting… ready"):
            assert line in told
        pids = site.pids()
        for name in ("worker-0", "worker-1", "tasks-0", "delay", "redis"):
            kill_and_wait(site, name, pids[name], lambda: echoes(socket))
        one, _ = children(pids["server"])
        os.kill(one, signal.SIGKILL)
        killed = time.monotonic()
        wait_until(
            lambda: len(serving(site, pids["server"]) - {one}) == 2, ALLOWED, "another process"
        )
        tell("one process of the server", killed)
    with connect(site.socket) as socket:  # of either process of the server
        assert echoes(socket)
    driver.get(f"http://127.0.0.1:{site.port}/counter/")
    wait_until(lambda: counter_shows(driver, 0), ALLOWED, "the stored value")
    kill_and_wait(site, "server", pids["server"], lambda: "<h1" in site.page())
    assert site.increment() == 1
    wait_until(
        lambda: counter_shows(driver, 1), ALLOWED, "the page to come back with the new value"
    )


def counter_shows(driver: webdriver.Chrome, value: int) -> bool:
    """Whether the page shows it, and that its socket is open."""
    shown = driver.execute_script(
        "return ['state', 'value'].map((id) => document.getElementById(id).innerText)"
    )
    return bool(shown == ["Connected", str(value)])


def kill_and_wait(site: UpSite, name: str, pid: int, works: Callable[[], bool]) -> None:
    """Kill a process, and print how long it took until another runs and all works."""
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()

    def is_healed() -> bool:
        with contextlib.suppress(OSError):
            found = {each.name: each for each in Supervisor(site.state).processes()}
            return found[name].pid not in (0, pid) and found[name].runs and works()
        return False

    wait_until(is_healed, ALLOWED, f"{name} to run again")
    tell(name, killed)


def tell(name: str, killed: float) -> None:
    """How long it took, for those who look; machines that have more to do are slower."""
    print(f"{name}: back after {time.monotonic() - killed:.1f} s, {PROMISED} s are promised")


# New code ---------------------------------------------------------------------------------


def test_new_code_answers_on_the_same_open_socket_and_no_request_fails(site: UpSite) -> None:
    site.up("--processes", "1", "--redis", "private")
    consumers = site.folder / "echo" / "consumers.py"
    with connect(site.socket) as socket, ThreadPoolExecutor(1) as visitor:
        assert said(socket, "hello") == "You said: hello"
        consumers.write_text(consumers.read_text().replace("You said", "I heard"))
        is_over = threading.Event()
        visits = visitor.submit(site.visit_until, is_over)
        try:
            told = site.run("restart", "workers")
        finally:
            is_over.set()
        assert said(socket, "hello") == "I heard: hello"
    assert re.findall(r"^(\S+): finishing… starting… ready", told, re.MULTILINE) == [
        "worker-0",
        "worker-1",
    ]
    assert set(visits.result(60)) == {200}
    code = consumers.read_text()
    consumers.write_text("this is no Python")
    assert "SyntaxError" in site.run("restart", "workers", status=1)
    consumers.write_text(code)
    (site.folder / "echo" / "apps.py").write_text(BROKEN)
    told = site.run("restart", "workers", status=1)
    assert "worker-0 ends as soon as it starts" in told
    assert "The others were not restarted, and go on." in told
    with connect(site.socket) as socket:
        assert said(socket, "hello") == "I heard: hello"
        before = children(site.pids()["server"])
        assert "server: replacing its processes… ready" in site.run("restart", "server")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    server = site.pids()["server"]
    wait_until(lambda: not {*before} & {*children(server)}, ALLOWED, "the old ones to be gone")
    with connect(site.socket) as socket:
        assert said(socket, "hello") == "I heard: hello"


# What goes wrong --------------------------------------------------------------------------


def test_what_keeps_a_site_from_starting_is_said_before_anything_starts(site: UpSite) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        assert f"Port {site.port} of 127.0.0.1 is taken" in site.up(status=1)
    path = site.env["PATH"]
    site.env["PATH"] = str(site.folder)
    assert "apt-get install redis-server" in site.up(status=1)
    site.env["PATH"] = path
    settings = site.folder / "project" / "settings.py"
    settings.write_text(settings.read_text() + "DEBUG = missing\n")
    told = site.up(status=1)
    assert "NameError: name 'missing' is not defined" in told
    assert not site.state.config.exists()
    assert site.left() == []


def test_a_worker_that_ends_at_its_start_is_shown_with_its_log(site: UpSite) -> None:
    (site.folder / "echo" / "apps.py").write_text(BROKEN)
    told = site.up("--workers", "1", "--processes", "1", "--redis", "private", status=1)
    assert re.search(r"worker-\d ends as soon as it starts", told)
    assert f"The end of {site.state.path}/worker-" in told
    assert "RuntimeError: no workers today" in told
    assert site.left() == []
    assert "is not up" in site.run("status", status=1)


BROKEN = """
import sys
from django.apps import AppConfig

class EchoConfig(AppConfig):
    name = "echo"

    def ready(self):
        if "runworker" in sys.argv:
            raise RuntimeError("no workers today")
"""


def test_in_the_foreground_it_stays_until_it_is_asked_to_stop(site: UpSite) -> None:
    command = [str(COMMAND), "up", "--foreground", "--port", str(site.port)]
    command += ["--workers", "1", "--processes", "1", "--redis", "private"]
    log = site.folder / "out.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as init:
        init.bind(str(site.folder / "notify.sock"))
        env = {**site.env, "NOTIFY_SOCKET": str(init.getsockname())}
        with Process(command, log=log, env=env, cwd=site.folder) as up:
            up.wait_for_line("The site is up: ", 90)
            init.settimeout(90)
            assert init.recv(100) == b"READY=1"
            assert "<h1" in site.page()
            assert up.terminate(90) == 0
            assert "redis: stopped" in up.output()
        init.setblocking(False)
        with pytest.raises(BlockingIOError):  # none of its programs has said so, too
            init.recv(100)
    assert site.left() == []


def test_a_start_that_is_interrupted_leaves_nothing(site: UpSite) -> None:
    command = [str(COMMAND), "up", "--port", str(site.port), "--redis", "private"]
    with Process(command, log=site.folder / "out.log", env=site.env, cwd=site.folder) as up:
        up.wait_for_line("redis: starting", 90)
        up.send_signal(signal.SIGINT)
        assert up.wait(90) != 0
        assert "Stopping what has been started." in up.output()
    assert site.left() == []
    assert site.state.supervisord() is None
