"""B1: a plain message is run by exactly one worker, at most once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite
from tests.acceptance.processes import wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

WORKERS = 8
MESSAGES = WORKERS * size(short=2_000, full=100_000)
BATCH = 200
#: For the slowest machine, in seconds.
DEADLINE = size(short=60, full=1800)
pytestmark = pytest.mark.timeout(DEADLINE + 60)


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    with BusSite(tmp_path, redis_server.url, capacity=5_000) as site:
        site.workers(WORKERS)
        yield site


def send_all(site: BusSite, meanwhile: Callable[[int], None] = lambda batch: None) -> None:
    """Send the messages, batch by batch, and wait until none waits any more."""
    for batch in range(MESSAGES // BATCH):
        send(site, range(batch * BATCH, (batch + 1) * BATCH))
        meanwhile(batch)
    wait_until(lambda: nothing_waits(site), DEADLINE, "all messages to be dealt with")


def send(site: BusSite, numbers: range) -> None:
    """Send a message for each number; while the channel is full, the workers are waited for."""
    rest = [site.layer.prepare("bus.count", {"number": number}) for number in numbers]

    def all_sent() -> bool:
        nonlocal rest
        rest = site.layer.deliver(rest)
        return not rest

    wait_until(all_sent, 60, "room on the channel")


def nothing_waits(site: BusSite) -> bool:
    """Whether the channel holds nothing that could yet be run, or run a second time."""
    return site.layer.channel_statistics("bus.count")["messages_pending"] == 0


def runs(site: BusSite) -> tuple[int, int]:
    """How many messages ran more than once, and how many never."""
    counts = Counter(note.number for note in site.journal.read())
    return sum(count > 1 for count in counts.values()), MESSAGES - len(counts)


def test_eight_workers_run_every_message_exactly_once(site: BusSite) -> None:
    began = time.monotonic()
    send_all(site)
    took = time.monotonic() - began
    duplicates, missing = runs(site)
    workers = {note.pid for note in site.journal.read()}
    figures(
        "B1",
        f"{MESSAGES:,} messages",
        f"{len(workers)} workers",
        f"{duplicates} duplicates",
        f"{missing} missing",
        f"{took:.0f} s",
    )
    assert (duplicates, missing) == (0, 0)
    assert len(workers) == WORKERS


def test_workers_that_are_stopped_and_replaced_lose_and_repeat_nothing(site: BusSite) -> None:
    old = list(site.processes)

    def replace_one(batch: int) -> None:
        if old and batch % 8 == 4:
            worker = old.pop()
            site.workers(1, ready=False)
            assert worker.terminate() == 0, worker.report()

    send_all(site, replace_one)
    assert old == []
    assert runs(site) == (0, 0)


def test_workers_that_are_killed_repeat_nothing_and_what_they_lose_is_counted(
    site: BusSite,
) -> None:
    victims = site.processes[:3]

    def kill_one(batch: int) -> None:
        if victims and batch % 8 == 4:
            victims.pop().kill()

    send_all(site, kill_one)
    lost = site.layer.channel_statistics("bus.count")["lost_count"]
    duplicates, missing = runs(site)
    figures("B1", "3 kills", f"{duplicates} duplicates", f"{missing} missing", f"{lost} lost")
    assert duplicates == 0
    assert missing <= lost
