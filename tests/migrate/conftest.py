"""Trees of files to migrate, and the command run on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from channels_classic import cli

Tree = Callable[[Mapping[str, str | bytes]], Path]
Run = Callable[..., Result]

#: Releases of click before 8.2 put both outputs into one unless told otherwise.
APART = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Tree:
    """``tree({name: text})`` writes files into an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


@pytest.fixture
def run() -> Run:
    """``run("--check")`` runs ``channels-classic migrate --check .``."""

    def migrate(*arguments, path="."):
        return CliRunner(**APART).invoke(cli.main, ["migrate", *arguments, str(path)])

    return migrate
