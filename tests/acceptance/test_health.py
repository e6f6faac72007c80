"""Real processes that run and get nothing done: the probes and the command tell."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.bus import COMMANDS, BusSite
from tests.acceptance.processes import wait_until
from tests.conftest import RedisServer

STALLED = "1"
DEADLINE = 40.0


def probe(site: BusSite, path: str) -> tuple[int, list[str]]:
    """The status, and the reasons."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()).get("reasons", [])
    finally:
        connection.close()


def wait_for(site: BusSite, status: int, reason: str = "") -> None:
    """Until the readiness is so."""

    def is_so() -> bool:
        found, reasons = probe(site, "/-/readyz")
        return found == status and reason in " ".join(reasons)

    wait_until(is_so, DEADLINE, f"{status} {reason}")


def health(site: BusSite, *options: str) -> tuple[int, dict[str, Any]]:
    """The status of the command, and what it prints."""
    command = site._start(
        "health",
        [COMMANDS / "channels-classic", "health", "asgi:channel_layer", "--json", *options],
    )
    status = command.wait(DEADLINE)
    return status, json.loads(command.output())


@pytest.mark.timeout(240)
def test_a_worker_that_is_stopped_is_told_and_so_is_the_end_of_it(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with BusSite(tmp_path, redis_server.url) as site:
        worker = site.worker()
        site.server("--stalled-after", STALLED, "--slow-bus", "20")
        wait_for(site, 200)
        status, found = health(site, "--slow-bus", "20")
        assert (status, found["healthy"]) == (0, True)
        assert found["channels"]["websocket.receive"]["workers"] == 1
        worker.send_signal(signal.SIGSTOP)
        for number in range(20):
            site.layer.send("websocket.disconnect", {"path": "/", "code": 1000, "order": number})
        wait_for(site, 503, "websocket.disconnect: ")
        assert probe(site, "/-/livez") == (200, [])
        status, found = health(site, "--slow-bus", "20", "--stalled-after", STALLED)
        assert (status, found["healthy"]) == (1, False)
        assert found["channels"]["websocket.disconnect"]["stalled"] is True
        worker.send_signal(signal.SIGCONT)
        wait_for(site, 200)


@pytest.mark.timeout(240)
def test_a_bus_that_hangs_is_told_and_the_server_stays(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    own_redis.start()
    assert own_redis.process is not None
    with BusSite(tmp_path, own_redis.url) as site:
        site.server("--slow-bus", "2")
        wait_for(site, 200)
        own_redis.process.send_signal(signal.SIGSTOP)
        try:
            wait_for(site, 503, "the bus ")
            assert probe(site, "/-/livez") == (200, [])
        finally:
            own_redis.process.send_signal(signal.SIGCONT)
        wait_for(site, 200)
