"""State: a folder for one user, and the processes that were started from it and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Plan
from channels_classic.up.state import Relative, State
from tests.acceptance.processes import wait_until

PLAN = Plan(
    folder=Path("/site"),
    state=Path("/state"),
    target="a:b",
    settings="settings",
    python="python",
    command="channels-classic",
)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    state = State(tmp_path_factory.mktemp("s") / "s")
    state.make()
    return state


def test_the_folder_is_this_users_alone_and_no_matter_for_git(state: State) -> None:
    assert state.path.stat().st_mode & 0o777 == 0o700
    assert (state.path / ".gitignore").read_text() == "*\n"
    state.make()  # again, for the next start


def test_a_path_that_no_socket_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UpError, match=r"bytes too long for UNIX sockets.*--state or CHANNELS_STATE"
    ):
        State(tmp_path / ("x" * 100)).make()


def test_a_folder_that_others_may_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o777)
    (tmp_path / "s").chmod(0o777)
    with pytest.raises(UpError, match="can be used by others: chmod 700"):
        State(tmp_path / "s").make()


def test_two_commands_do_not_start_and_stop_at_the_same_time(state: State) -> None:
    with state.alone(), pytest.raises(UpError, match="another channels-classic"), state.alone():
        pass
    with state.alone():
        pass


def test_what_was_noted_is_there_and_nothing_otherwise(state: State) -> None:
    assert state.noted() is None
    state.note(PLAN, "/-/readyz")
    assert state.noted() == (PLAN, "/-/readyz")
    (state.path / "site.json").write_text("of another release")
    assert state.noted() is None


# Processes --------------------------------------------------------------------------------

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); time.sleep(600)"
)
WILLING = "import time; print(); time.sleep(600)"


@pytest.fixture
def start(state: State) -> Iterator[object]:
    """Starts a process as supervisord would; it is ready when it comes back."""
    with ExitStack() as stack:

        def start(name: str, script: str, of: State = state) -> subprocess.Popen[bytes]:
            marks = {
                "SUPERVISOR_SERVER_URL": f"unix://{of.socket}",
                "SUPERVISOR_PROCESS_NAME": name,
            }
            popen = subprocess.Popen(
                [sys.executable, "-u", "-c", script],
                env={**os.environ, **marks},
                stdout=subprocess.PIPE,
            )
            stack.callback(popen.communicate)
            stack.callback(popen.kill)
            assert popen.stdout is not None
            popen.stdout.readline()
            return popen

        yield start


def test_those_that_supervisord_has_started_are_known_and_no_others(state, start) -> None:
    ours = start("worker-0", WILLING)
    start("worker-0", WILLING, of=State(state.path.parent / "other"))
    assert state.relatives() == [Relative(ours.pid, "worker-0")]
    assert state.runs
    assert state.supervisord() is None


def test_they_are_ended_redis_last_and_the_stubborn_are_killed(state, start) -> None:
    redis = start("redis", WILLING)
    worker = start("worker-0", STUBBORN)
    killed: list[Relative] = []

    def on_kill(relative: Relative) -> None:
        assert redis.poll() is None
        killed.append(relative)

    state.end_relatives(0.2, on_kill=on_kill)
    assert killed == [Relative(worker.pid, "worker-0")]
    wait_until(lambda: redis.poll() is not None)
    assert state.relatives() == []
