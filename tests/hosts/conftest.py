"""The hosts: the same site under each ASGI server, one process each for all facts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_classic.layers.names import random_letters
from tests.acceptance.processes import Process, free_port
from tests.hosts.differences import DIFFERENCES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SITE = "tests.hosts.site:application"
#: How each is started, as its documentation says.
COMMANDS = {
    "uvicorn": "-m uvicorn {site} --port {port} --log-level warning",
    "hypercorn": "-m hypercorn {site} --bind 127.0.0.1:{port}",
    "granian": "-m granian {site} --interface asgi --port {port} --workers 1",
    "daphne": "-m daphne {site} --port {port}",
}


class Host:
    """A running server: its port, and its process."""

    def __init__(self, port: int, process: Process) -> None:
        self.port = port
        self.process = process


@pytest.fixture(scope="package", params=[*COMMANDS, "uvicorn, Redis"])
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Each in turn; the last with Redis for its bus."""
    name, _, bus = request.param.partition(", ")
    env = {}
    if bus:
        server = request.getfixturevalue("redis_server")
        env = {"HOSTS_REDIS": server.url, "HOSTS_PREFIX": f"{random_letters(8)}:"}
    port = free_port()
    command = [sys.executable, *COMMANDS[name].format(site=SITE, port=port).split()]
    log = tmp_path_factory.mktemp(name) / "host.log"
    with Process(command, log=log, cwd=ROOT, env=env) as process:
        process.wait_for_port(port, 40)
        yield Host(port, process)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a host is unable to do must fail there, for the reason that is written down."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if item.path.parent != HERE or callspec is None:
            continue
        name = callspec.params["host"]
        reason = DIFFERENCES.get(name.partition(",")[0], {}).get(_fact(item))
        if reason:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def _fact(item: pytest.Item) -> str:
    """The name of the test with what else it is called with: ``test_fact[1000]``."""
    name, _, parameters = item.name.partition("[")
    others = [each for each in parameters.rstrip("]").split("-") if each not in _HOSTS]
    return f"{name}[{'-'.join(others)}]" if others and others != [""] else name


_HOSTS = {*COMMANDS, "uvicorn, Redis"}
