"""``channels-classic up``: the example site by one command, its death and its new code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels_classic.up.state import Relative, State
from tests.acceptance.processes import free_port

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
            timeout=150,
            check=False,
        )
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def up(self, *options: str, status: int = 0) -> str:
        return self.run("up", "--port", str(self.port), *options, status=status)

    def processes(self) -> dict[str, dict[str, Any]]:
        """What ``status`` tells of each, by name."""
        found = json.loads(self.run("status", "--json"))
        return {each["name"]: each for each in found["processes"]}

    def left(self) -> list[Relative]:
        """What still runs of it."""
        return self.state.relatives()

    def page(self, path: str = "/") -> str:
        address = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return str(answer.read().decode())

    def close(self) -> None:
        """End all of it, whatever the test has left."""
        if pid := self.state.supervisord():
            os.kill(pid, signal.SIGKILL)
        for each in self.left():
            os.kill(each.pid, signal.SIGKILL)


@pytest.fixture
def site() -> Iterator[UpSite]:
    """The site, down, with its database migrated."""
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


def test_one_command_brings_the_site_up_and_one_takes_it_down(site: UpSite) -> None:
    site.manage("migrate", "--verbosity", "0")
    said = site.up()
    for name in ("redis", "worker ×2", "server"):
        assert f"{name}: starting… ready (" in said
    assert f"The site is up: http://127.0.0.1:{site.port}/" in said
    assert "<h1" in site.page()
    assert set(site.processes()) == {"redis", "worker-0", "worker-1", "server"}
    assert "was up already" in site.up()
    assert "worker-1: stopped" in site.run("down")
    assert site.left() == []
    assert "is not up" in site.run("status", status=1)
    assert "was not up" in site.run("down")
