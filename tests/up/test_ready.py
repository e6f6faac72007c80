"""Ready: the ends of logs, and what the server says of itself."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from channels_classic.exceptions import UpError
from channels_classic.up import ready
from channels_classic.up.control import Process, Supervisor
from channels_classic.up.plan import Plan, Program
from channels_classic.up.ready import Logs, Watch, redis_answers, why_not_ready
from channels_classic.up.state import State
from tests.acceptance.processes import free_port
from tests.conftest import RedisServer

PLAN = Plan(
    folder=Path("/"),
    state=Path("/"),
    target="a:b",
    settings="settings",
    python="python",
    command="channels-classic",
)


def test_a_log_is_shown_from_its_mark_on_and_not_more_than_its_end(tmp_path: Path) -> None:
    state = State(tmp_path)
    logs = Logs(state)
    state.log("worker-0").write_text("of yesterday\n")
    logs.mark(["worker-0", "server"])
    assert "(nothing)" in logs.tail("worker-0")
    assert "(nothing)" in logs.tail("server")
    with state.log("worker-0").open("a") as log:
        log.writelines(f"line {n}\n" for n in range(100))
    shown = logs.tail("worker-0")
    assert f"The end of {tmp_path}/worker-0.log:\n" in shown
    assert shown.endswith("    line 98\n    line 99")
    assert "line 79" not in shown
    state.log("worker-0").write_text("new\n")  # rotated meanwhile
    assert shown.count("\n") == 20
    assert logs.tail("worker-0").endswith("    new")


def test_a_redis_answers_or_not(redis_server: RedisServer, tmp_path: Path) -> None:
    assert redis_answers(redis_server.folder / "redis.sock")
    assert not redis_answers(tmp_path / "redis.sock")


# Processes that begin ---------------------------------------------------------------------


class Told:
    """A supervisord that tells of processes what the test has put there, look by look."""

    def __init__(self, *looks: list[Process]) -> None:
        self.looks = list(looks)

    def processes(self) -> list[Process]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def process(name: str, state: str = "RUNNING", *, pid: int = 7, start: int = 100) -> Process:
    return Process(name, name, state, pid, start, uptime=0, problem="")


def watch(told: Told, tmp_path: Path, *announced: int, timeout: float = 30) -> Watch:
    return Watch(
        PLAN,
        cast("Supervisor", told),
        Logs(State(tmp_path)),
        ready_path="/-/readyz",
        announced=lambda: {"worker": set(announced), "server": set()},
        timeout=timeout,
    )


WORKER = Program(name="worker", text="", command=("x",), ends_within=1, copies=1)


def test_a_worker_is_ready_when_it_runs_and_has_announced_itself(tmp_path: Path) -> None:
    told = Told([process("worker-0", "STARTING")], [process("worker-0")])
    found = watch(told, tmp_path, 7)
    found.begin(["worker-0"])
    assert found.wait(WORKER) >= 0.1
    late = watch(Told([process("worker-0")]), tmp_path, 8, timeout=0.1)
    late.begin(["worker-0"])
    with pytest.raises(UpError, match="worker-0: not ready after 0.1 s: it has not announced"):
        late.wait(WORKER)


@pytest.mark.parametrize(
    "then", [process("worker-0", start=200), process("worker-0", "BACKOFF", pid=0)]
)
def test_a_process_that_starts_again_while_it_is_waited_for_has_failed(
    then: Process, tmp_path: Path
) -> None:
    found = watch(Told([process("worker-0", "STARTING")], [then]), tmp_path, 7)
    found.begin(["worker-0"])
    with pytest.raises(UpError, match="worker-0 ends as soon as it starts"):
        found.wait(WORKER)


def test_another_process_that_fails_is_of_no_interest(tmp_path: Path) -> None:
    found = watch(Told([process("delay", "FATAL"), process("worker-0")]), tmp_path, 7)
    found.begin(["worker-0"])
    found.wait(WORKER)


# Servers that are ready -------------------------------------------------------------------


@contextmanager
def probe(status: int, body: bytes) -> Iterator[int]:
    """A server whose probe says so; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/-/readyz" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "path", "problem"),
    [
        (200, b"{}", "/-/readyz", ""),
        (503, json.dumps({"reasons": ["a", "b"]}).encode(), "/-/readyz", "a; b"),
        (503, b"<html>", "/-/readyz", "/-/readyz is answered 503"),
        (503, b"", "", ""),  # the probe is switched off: that it answers must do
    ],
)
def test_a_server_is_ready_when_its_probe_says_so(
    status: int, body: bytes, path: str, problem: str
) -> None:
    with probe(status, body) as port:
        assert why_not_ready(replace(PLAN, port=port), path) == problem


def test_a_server_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    assert "does not answer" in why_not_ready(replace(PLAN, port=free_port()), "/-/readyz")
    nowhere = replace(PLAN, unix_socket=str(tmp_path / "server.sock"))
    assert "does not answer" in why_not_ready(nowhere, "/-/readyz")


def test_a_server_that_never_answers_on_its_unix_socket_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "_PATIENCE", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        silent = replace(PLAN, unix_socket=str(tmp_path / "s"))
        assert why_not_ready(silent, "/-/readyz") == "the server does not answer (timed out)"
