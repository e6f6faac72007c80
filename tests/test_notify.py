"""Notify: the supervisor hears of a process that is ready, where it wants to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from channels_classic.notify import VARIABLE, say_ready
from tests.acceptance.conftest import Site
from tests.acceptance.conftest import make_site as make_site
from tests.acceptance.processes import port_answers
from tests.conftest import RedisServer


@pytest.mark.parametrize("is_abstract", [False, True])
def test_who_listens_hears_that_the_process_is_ready(
    is_abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{tmp_path}/notify"[-100:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(10)
        ear.bind("\0" + name if is_abstract else name)
        monkeypatch.setenv(VARIABLE, "@" + name if is_abstract else name)
        say_ready()
        assert ear.recv(100) == b"READY=1"


def test_nobody_needs_to_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    say_ready()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nobody"))
    say_ready()


def test_servers_and_workers_say_it_when_they_take_connections_and_messages(
    make_site: Callable[[str], Site], redis_server: RedisServer, tmp_path: Path
) -> None:
    site = make_site(redis_server.url)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(60)
        ear.bind(str(tmp_path / "notify"))
        site.env[VARIABLE] = str(tmp_path / "notify")
        site.server("--processes", "1")
        assert ear.recv(100) == b"READY=1"
        assert port_answers(site.port)
        worker = site.worker(ready=False)
        assert ear.recv(100) == b"READY=1"
        assert "Channels: " in worker.output()
