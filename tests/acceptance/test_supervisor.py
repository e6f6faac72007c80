"""deploy/supervisor as its README has it: the site stays up while its workers die and restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.processes import Process, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
WORKERS = ["worker:worker-0", "worker:worker-1"]


class Deployment(NamedTuple):
    """The example site under supervisord, and how to look at it."""

    config: Path
    port: int

    def control(self, *words: str) -> str:
        """What supervisorctl prints; some of its commands exit with a status for "not all run"."""
        command = [str(BIN / "supervisorctl"), "-c", str(self.config), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def state(self, program: str) -> tuple[str, int]:
        """The state of a program and its pid: ("RUNNING", 4711), or (..., 0)."""
        words = self.control("status", program).split()
        running = len(words) > 3 and words[2] == "pid"
        return (words[1] if len(words) > 1 else "", int(words[3].strip(",")) if running else 0)

    def all_running(self) -> bool:
        """Whether Redis, the server and both workers are up."""
        lines = self.control("status").splitlines()
        return len(lines) == 4 and all(" RUNNING " in line for line in lines)

    def answers(self) -> bool:
        """Whether the start page comes."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """The file as it stands, but for the places, the port and the user."""
    with tempfile.TemporaryDirectory(prefix="deploy-") as name:  # socket paths must be short
        folder = Path(name)
        deployment = Deployment(folder / "supervisord.conf", free_port())
        text = (ROOT / "deploy" / "supervisor" / "supervisord.conf").read_text()
        for old, new in {
            "/srv/site/.channels": name,
            "/srv/site/venv/bin": str(BIN),
            "directory=/srv/site": f"directory={ROOT / 'workers'}",
            "--port 8000": f"--port {deployment.port}",
            "user=site\n": "",
        }.items():
            assert old in text, f"supervisord.conf has no {old}"
            text = text.replace(old, new)
        deployment.config.write_text(text)
        env = {"VAR_FOLDER": str(folder / "site")}
        migrate = [sys.executable, "workers/manage.py", "migrate", "--verbosity", "0"]
        django = {"DJANGO_SETTINGS_MODULE": "project.settings"}
        subprocess.run(
            migrate, cwd=ROOT, env={**os.environ, **env, **django}, check=True, timeout=60
        )
        command = [str(BIN / "supervisord"), "--nodaemon", "-c", str(deployment.config)]
        with Process(command, log=folder / "out.log", env=env, cwd=ROOT) as supervisord:
            try:
                wait_until(deployment.all_running, 30, "every program to run")
                wait_until(deployment.answers, 20, "the site to answer")
                yield deployment
            finally:
                print_logs(folder)
                deployment.control("shutdown")
                supervisord.wait(60)


def print_logs(folder: Path) -> None:
    """pytest shows this when a test fails."""
    for log in sorted(folder.glob("*.log")):
        print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-20:], sep="\n")


@pytest.fixture
def echo(deployment: Deployment) -> Iterator[ClientConnection]:
    """A socket that was opened before anything happens to the workers."""
    with connect(f"ws://127.0.0.1:{deployment.port}/echo/", open_timeout=10) as socket:
        assert said(socket, "hello") == "You said: hello"
        yield socket


def said(socket: ClientConnection, text: str) -> str | bytes:
    """What comes back for ``text``."""
    socket.send(text)
    return socket.recv(timeout=10)


def gone(pid: int) -> bool:
    """Whether no process has this pid any more, which is when its connections are closed too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_killed_worker_is_back_within_5_seconds_and_open_sockets_stay(
    deployment: Deployment, echo: ClientConnection
) -> None:
    state, pid = deployment.state(WORKERS[0])
    assert state == "RUNNING"
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    # Delivery is at most once: what Redis hands to the dying worker in this instant is lost.
    wait_until(lambda: gone(pid), 5, "the worker to be gone")
    assert said(echo, "one worker left") == "You said: one worker left"

    def healed() -> bool:
        state, new_pid = deployment.state(WORKERS[0])
        return state == "RUNNING" and new_pid != pid

    wait_until(healed, killed + 5 - time.monotonic(), "the worker to run again")
    for number in range(20):
        assert said(echo, f"number {number}") == f"You said: number {number}"


def test_workers_restart_one_after_another_while_open_sockets_stay(
    deployment: Deployment, echo: ClientConnection
) -> None:
    for worker in WORKERS:
        before = deployment.state(worker)
        deployment.control("restart", worker)
        assert deployment.state(worker)[0] == "RUNNING"
        assert deployment.state(worker) != before
        assert said(echo, worker) == f"You said: {worker}"
