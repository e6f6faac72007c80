"""Stop: a site is ended in the end, whatever has become of its supervisord."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from channels_classic.cli import main
from channels_classic.exceptions import UpError
from channels_classic.up import control
from channels_classic.up.control import Supervisor
from channels_classic.up.plan import Plan
from channels_classic.up.site import stop
from channels_classic.up.state import State
from tests.acceptance.processes import wait_until

PLAN = Plan(
    folder=Path("/"),
    state=Path("/"),
    target="a:b",
    settings="settings",
    python="python",
    command="channels-classic",
)
#: Longer than any test that ends as it should, and shorter than what would be waited for else.
SOON = 30.0

CONFIG = """
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
[unix_http_server]
file={folder}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:worker]
command={python} -uc "import time; print(1); time.sleep(600)"
stdout_logfile={folder}/worker.log
"""
#: It tells when it can be told to end, and does not.
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); time.sleep(600)"
)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """That of a site that is down; nothing is left of it."""
    state = State(tmp_path_factory.mktemp("s") / "s")
    state.make()
    state.config.write_text(CONFIG.format(folder=state.path, python=sys.executable))
    yield state
    state.signal_supervisord(signal.SIGKILL)
    for each in state.relatives():
        os.kill(each.pid, signal.SIGKILL)


@contextmanager
def supervised(state: State) -> Iterator[Supervisor]:
    """A supervisord whose worker runs."""
    supervisor = Supervisor(state)
    popen = supervisor.launch()
    wait_until(lambda: state.log("worker").exists() and state.log("worker").read_text() == "1\n")
    yield supervisor
    wait_until(lambda: state.supervisord() is None)
    popen.communicate()


@contextmanager
def process(*words: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """It runs when the block begins, and has ended after it."""
    with subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
        stdout=subprocess.PIPE,
        text=True,
    ) as popen:
        assert popen.stdout
        popen.stdout.readline()
        try:
            yield popen
        finally:
            popen.kill()


@contextmanager
def silent(path: Path) -> Iterator[None]:
    """A server that takes connections and says nothing on them."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield


def test_a_supervisord_that_says_nothing_does_not_answer(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_PATIENCE", 0.2)
    with silent(state.socket):
        began = time.monotonic()
        assert not Supervisor(state).answers
        with pytest.raises(UpError, match=r"does not answer at .*: timed out"):
            Supervisor(state).processes()
        assert 0.4 <= time.monotonic() - began < SOON


def test_a_process_may_take_longer_to_end_than_an_answer(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_PATIENCE", 0.2)
    monkeypatch.setattr(control, "_ENDING", 1.0)
    with silent(state.socket):
        began = time.monotonic()
        with pytest.raises(UpError, match="does not answer"):
            Supervisor(state).stop("worker")
        assert 1.0 <= time.monotonic() - began < SOON


def test_a_supervisord_that_was_stopped_is_said_and_ends_in_order(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with supervised(state):
        state.note(PLAN, "")
        pid = state.signal_supervisord(signal.SIGSTOP)
        monkeypatch.setattr(control, "_PATIENCE", 0.5)
        status = CliRunner().invoke(main, ["status", "--state", str(state.path)])
        assert f"supervisord ({pid}) does not answer" in status.output
        began = time.monotonic()
        assert stop(state, lambda line, **_: said.append(line))
        assert time.monotonic() - began < SOON
    assert said == ["worker: stopped"]


def test_one_that_does_not_end_is_killed_and_what_it_has_left_is_ended(
    state: State, tmp_path: Path
) -> None:
    script = tmp_path / "hangs.py"
    script.write_text(STUBBORN)
    mark = f"unix://{state.socket}"
    said: list[str] = []
    with (
        process(str(script), "supervisor.supervisord", "-c", str(state.config)) as hangs,
        process(
            "-c",
            "import time; print(); time.sleep(600)",
            SUPERVISOR_SERVER_URL=mark,
            SUPERVISOR_PROCESS_NAME="worker-0",
        ) as worker,
    ):
        assert stop(state, lambda line, **_: said.append(line), patience=0.3)
        assert hangs.wait(SOON) == -signal.SIGKILL
        assert worker.wait(SOON) == -signal.SIGTERM
    assert said[0] == f"supervisord (process {hangs.pid}) did not end in time: killed"


def test_one_that_ends_already_may_be_told_to(state: State) -> None:
    command = f'command={sys.executable} -uc "import time; print(1); time.sleep(600)"'
    stubborn = f'command={sys.executable} -uc "{STUBBORN.replace("print()", "print(1)")}"'
    config = state.config.read_text().replace(command, f"{stubborn}\nstopwaitsecs=3")
    state.config.write_text(config)
    with supervised(state) as supervisor:
        supervisor.shutdown()
        supervisor.shutdown()
        assert state.supervisord(), "it was told a second time too late"
        assert stop(state, lambda *_, **__: None)
    assert state.relatives() == []


def test_one_that_has_just_ended_does_no_harm(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process("-c", "print()") as ended:
        ended.wait(SOON)
    seen = [ended.pid, ended.pid]
    monkeypatch.setattr(State, "supervisord", lambda _: seen.pop() if seen else None)
    with process(
        *("-c", "import time; print(); time.sleep(600)"),
        SUPERVISOR_SERVER_URL=f"unix://{state.socket}",
    ) as worker:
        assert stop(state, lambda *_, **__: None)
        assert worker.wait(SOON) == -signal.SIGTERM
