"""B3: the messages of one connection are run in order and one at a time, by default."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.asyncio.client import connect

from tests.acceptance.bus import BusSite, Note
from tests.acceptance.processes import free_port, wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

WORKERS = 8
SOCKETS = 100
#: With the connect and the disconnect, 10,000 and 1,000,000 in all.
MESSAGES = size(short=98, full=9_998)
DEADLINE = size(short=60, full=3600)


class Verdict(NamedTuple):
    """What the journal says: all messages, and those that should not have begun when they did."""

    messages: int
    inversions: int
    overlaps: int


def judge(notes: Iterable[Note], killed: Mapping[int, float] | None = None) -> Verdict:
    """Look at what began and ended, in the order in which it did.

    ``killed`` says when processes were ended, with what they had begun.
    """
    ends = killed or {}
    running: dict[str, dict[str, int]] = defaultdict(dict)
    latest: dict[str, int] = {}
    messages = inversions = overlaps = 0
    for note in notes:
        others = running[note.who]
        if note.what == "end":
            others.pop(note.number, None)
        elif note.what == "begin":
            messages += 1
            overlaps += any(note.time < ends.get(pid, note.time + 1) for pid in others.values())
            inversions += int(note.number) < latest.get(note.who, 0)
            latest[note.who] = max(int(note.number), latest.get(note.who, 0))
            others[note.number] = note.pid
    return Verdict(messages, inversions, overlaps)


async def talk(urls: list[str], *, messages: int) -> None:
    """A socket for each of ``urls`` sends its messages as fast as it may, and closes.

    It asks for no pongs: those come when all before them has been read, which may take long.
    """

    async def one(url: str) -> None:
        async with connect(
            url, open_timeout=30, close_timeout=DEADLINE, ping_interval=None
        ) as socket:
            for number in range(1, messages + 1):
                await socket.send(str(number))

    await asyncio.gather(*map(one, urls))


@pytest.mark.timeout(DEADLINE + 120)
def test_eight_workers_run_the_messages_of_each_socket_in_order_and_one_at_a_time(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with BusSite(tmp_path, redis_server.url) as site:
        site.workers(WORKERS)
        ports = [site.port, free_port()]
        for port in ports:
            site.server(port=port)
        urls = [site.url("/order/", port=port) for port in ports] * (SOCKETS // 2)
        began = time.monotonic()
        asyncio.run(talk(urls, messages=MESSAGES))
        expected = SOCKETS * (MESSAGES + 2)
        wait_until(lambda: gone(site) == SOCKETS, DEADLINE, "the end of all sockets")
        took = time.monotonic() - began
    verdict = judge(site.journal.read())
    workers = {note.pid for note in site.journal.read()}
    figures(
        "B3",
        f"{verdict.messages:,} messages",
        f"{SOCKETS} sockets",
        f"{len(workers)} workers",
        f"{verdict.inversions} inversions",
        f"{verdict.overlaps} overlaps",
        f"{took:.0f} s",
    )
    assert verdict == Verdict(expected, inversions=0, overlaps=0)
    assert len(workers) == WORKERS
    order = [int(note.number) for note in site.journal.read() if note.what == "gone"]
    assert order == [MESSAGES + 1] * SOCKETS


def test_workers_that_are_killed_under_load_change_no_order(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with BusSite(tmp_path, redis_server.url) as site:
        victims = site.workers(WORKERS)[:3]
        site.server()
        killed: dict[int, float] = {}
        expected = SOCKETS * 202
        with talking([site.url("/order/")] * SOCKETS, messages=200):
            for part, victim in enumerate(victims, 1):
                wait_until(lambda part=part: site.journal.count("end") > part * expected // 4, 60)
                victim.kill()
                killed[victim.pid] = time.monotonic()
        wait_until(lambda: gone(site) == SOCKETS, 30, "the end of all sockets")
        missing = expected - site.journal.count("begin")
        assert missing <= lost(site), "each message that never ran is counted"
    verdict = judge(site.journal.read(), killed)
    figures("B3", f"{len(killed)} kills", str(verdict), f"{missing} never ran")
    assert (verdict.inversions, verdict.overlaps) == (0, 0)


def gone(site: BusSite) -> int:
    """How many sockets have come to their end, and be it that the news of it was lost."""
    return site.journal.count("gone") + lost(site, "websocket.disconnect")


def lost(site: BusSite, *channels: str) -> int:
    """How many messages of sockets were in the hands of those who died."""
    names = channels or ("websocket.connect", "websocket.receive", "websocket.disconnect")
    return sum(int(site.layer.channel_statistics(each)["lost_count"]) for each in names)


@contextlib.contextmanager
def talking(urls: list[str], *, messages: int) -> Iterator[None]:
    """``talk``, while the block runs and until it is done."""
    with ThreadPoolExecutor(1) as pool:
        talk_is_over = pool.submit(asyncio.run, talk(urls, messages=messages))
        yield
        talk_is_over.result()


def test_a_message_that_is_tried_again_is_waited_for_by_the_next_of_its_socket(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with BusSite(tmp_path, redis_server.url) as site:
        site.workers(4)
        site.server()
        asyncio.run(talk([site.url("/stubborn/")] * 20, messages=50))
        site.wait_for_notes(20 * 50, "done", timeout=30)
    verdict = judge(site.journal.read())
    assert (verdict.inversions, verdict.overlaps) == (0, 0)
    assert verdict.messages > 20 * 50, "some must have failed"
    done: dict[str, list[int]] = defaultdict(list)
    for note in site.journal.notes("done"):
        done[note.who].append(int(note.number))
    assert list(done.values()) == [list(range(1, 51))] * 20


def test_without_order_the_same_check_sees_overlaps(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with BusSite(tmp_path, redis_server.url) as site:
        site.workers(4)
        site.server("--no-ordering")
        asyncio.run(talk([site.url("/order/")] * 20, messages=100))
        wait_until(lambda: site.journal.count("end") == 20 * 102, 60, "all messages to be run")
    verdict = judge(site.journal.read())
    assert verdict.messages == 20 * 102
    assert verdict.overlaps > 0
