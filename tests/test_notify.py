"""Notify: the supervisor hears of a process that is ready, where it wants to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from channels_classic.notify import VARIABLE, say_ready


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
