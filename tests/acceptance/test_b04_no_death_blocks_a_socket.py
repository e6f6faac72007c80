"""B4: a worker that dies, or a consumer that raises, never blocks a connection."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.bus import START, BusSite
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

SOCKETS = 10
ROUNDS = size(short=1, full=10)
#: Workers that are killed in each round, with a socket's message in the hands of each.
AT_ONCE = 3
#: What is promised, in seconds; and what "at once" is for a person who waits.
SOON, AT_LEISURE = 10.0, 5.0


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    with BusSite(tmp_path, redis_server.url) as site:
        yield site


@pytest.fixture
def sockets(site: BusSite) -> Iterator[list[ClientConnection]]:
    """Open sockets, as soon as the workers of the test are there to accept them."""
    with contextlib.ExitStack() as stack:
        site.server()
        site.workers(AT_ONCE + 1)
        yield [stack.enter_context(connect(site.url("/talk/"))) for _ in range(SOCKETS)]


def ask(socket: ClientConnection, text: str, *, within: float) -> float:
    """Send ``text`` and wait until it comes back; how many seconds that took."""
    began = time.monotonic()
    socket.send(text)
    return answer(socket, text, within=within) - began


def answer(socket: ClientConnection, text: str, *, within: float) -> float:
    """Wait until ``text`` comes back; when that was."""
    assert str(socket.recv(timeout=within)).split()[1] == text
    return time.monotonic()


@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_the_next_message_runs_within_ten_seconds_of_the_kill(
    site: BusSite, sockets: list[ClientConnection]
) -> None:
    workers = [process for process in site.processes if "runworker" in process.command]
    delays: list[float] = []
    others: list[float] = []
    for number in range(ROUNDS):
        first = number * AT_ONCE % SOCKETS
        blocked = [sockets[(first + each) % SOCKETS] for each in range(AT_ONCE)]
        killed = [kill_who_holds(socket, site, workers) for socket in blocked]
        others += [ask(each, "other", within=SOON) for each in sockets if each not in blocked]
        workers += site.workers(AT_ONCE, ready=False)
        for socket, moment in zip(blocked, killed, strict=True):
            delays.append(answer(socket, "next", within=2 * SOON) - moment)
        for worker in workers:
            worker.wait_for_line("Channels: ", START)
    kills = ROUNDS * AT_ONCE
    figures(
        "B4",
        f"{kills} kills",
        f"next message answered after {min(delays):.1f} to {max(delays):.1f} s",
        f"other sockets within {max(others):.2f} s",
    )
    assert max(delays) < SOON
    assert max(others) < AT_LEISURE
    lost = site.layer.channel_statistics("websocket.receive")["lost_count"]
    assert lost == kills


def kill_who_holds(socket: ClientConnection, site: BusSite, workers: list[Process]) -> float:
    """Kill the worker that runs the message of a socket that has already sent the next one."""
    before = len(site.journal.notes("held"))
    socket.send("hold")
    socket.send("next")
    held = site.wait_for_notes(before + 1, "held")[-1]
    [holder] = [worker for worker in workers if worker.pid == held.pid]
    workers.remove(holder)
    holder.kill()
    return time.monotonic()


def test_a_message_that_may_not_be_lost_runs_again_before_the_next_of_its_socket(
    site: BusSite,
) -> None:
    site.server()
    workers = site.workers(2)
    with connect(site.url("/safe-talk/")) as socket:
        killed = kill_who_holds(socket, site, workers)
        assert answer(socket, "hold", within=2 * SOON) - killed < SOON
        answer(socket, "next", within=AT_LEISURE)
    assert site.layer.channel_statistics("websocket.receive")["recovered_count"] == 1


def test_the_next_message_runs_at_once_when_a_consumer_raises(
    site: BusSite, sockets: list[ClientConnection]
) -> None:
    for socket in sockets:
        socket.send("raise")
    delays = [ask(socket, "next", within=SOON) for socket in sockets]
    assert max(delays) < AT_LEISURE
    statistics = site.layer.channel_statistics
    wait_until(
        lambda: statistics("websocket.receive")["failed_count"] == SOCKETS, 5, "the errors counted"
    )
    assert statistics("websocket.receive")["lost_count"] == 0
