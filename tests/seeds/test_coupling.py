"""Server and workers meet on the bus: neither has the other's code in its process."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = """
import sys
import channels_classic.{module}
print(*sorted(name for name in sys.modules if name.startswith("channels_classic.")))
"""


def loaded(module: str) -> set[str]:
    """The modules of the package that are in a process which imports one."""
    command = [sys.executable, "-c", LOADED.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {name.removeprefix("channels_classic.") for name in done.stdout.split()}


def test_the_server_imports_nothing_of_the_workers() -> None:
    assert not loaded("server.run") & {"worker", "dispatch", "attempt", "hands", "beat", "generic"}


@pytest.mark.parametrize("module", ["worker", "management.commands.runworker"])
def test_a_worker_imports_nothing_of_the_server(module: str) -> None:
    found = loaded(module)
    assert "worker" in found
    assert not {name for name in found if name.startswith("server.")}
