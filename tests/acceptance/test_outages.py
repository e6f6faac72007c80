"""What clients and people are told when a part is missing, and how it goes on by itself."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.acceptance.conftest import Site
from tests.acceptance.processes import wait_until
from tests.conftest import RedisServer


def status_of(site: Site) -> tuple[int, str | None]:
    try:
        with urllib.request.urlopen(site.address, timeout=10) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Retry-After"]


def test_without_a_worker_http_is_answered_503_at_once(
    make_site: Callable[[str], Site], redis_server: RedisServer
) -> None:
    site = make_site(redis_server.url)
    server = site.server()
    server.wait_for_port(site.port)
    began = time.monotonic()
    assert status_of(site) == (503, "1")
    assert time.monotonic() - began < 5
    server.wait_for_line(r"No worker reads the channel http\.request")
    with pytest.raises(InvalidStatus) as refused:
        connect(site.socket)
    assert refused.value.response.status_code == 503
    site.worker()
    wait_until(lambda: status_of(site) == (200, None), 5, "the page, once a worker runs")


def test_processes_wait_for_a_redis_that_is_not_there_yet(
    make_site: Callable[[str], Site], own_redis: RedisServer
) -> None:
    site = make_site(own_redis.url)
    server = site.server()
    worker = site.worker()
    server.wait_for_port(site.port)
    for process in (server, worker):
        process.wait_for_line(r"Redis at unix://\S+ does not answer .*Trying again")
    assert status_of(site) == (503, "1")
    own_redis.start()
    wait_until(lambda: status_of(site) == (200, None), 10, "the page, once Redis is there")
    for process in (server, worker):
        assert process.output().count("does not answer") == 1, process.report()
        process.wait_for_line("The channel layer answers again")


def test_open_sockets_survive_a_restart_of_redis(
    make_site: Callable[[str], Site], own_redis: RedisServer
) -> None:
    own_redis.start()
    site = make_site(own_redis.url)
    site.server().wait_for_port(site.port)
    site.worker()
    with connect(site.socket) as ws:
        ws.send("before")
        assert str(ws.recv(timeout=10)).endswith("before")
        own_redis.stop()
        own_redis.start()

        def echoes() -> bool:
            ws.send("after")
            try:
                return str(ws.recv(timeout=1)).endswith("after")
            except TimeoutError:
                return False

        wait_until(echoes, 20, "an echo on the same socket after Redis came back")
