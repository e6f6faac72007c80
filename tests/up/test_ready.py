"""Ready: the ends of logs, and what the server says of itself."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from channels_classic.up.plan import Plan
from channels_classic.up.ready import Logs, redis_answers, why_not_ready
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
