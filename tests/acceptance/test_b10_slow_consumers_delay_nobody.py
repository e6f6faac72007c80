"""B10: a slow consumer delays nobody else while another worker thread is idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite, Note
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

ROUNDS = size(short=2, full=30)
#: Fast messages in each round.
FAST = 100
#: Messages of a busy channel, each of which takes a millisecond: for some seconds of two threads.
BACKLOG = 8_000
#: What is promised, in seconds, and what every machine keeps; who waits for the slow one takes 5.
SOON = size(short=1.0, full=0.1)

Content = dict[str, object]


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    with BusSite(tmp_path, redis_server.url, capacity=2 * BACKLOG) as site:
        yield site


@pytest.fixture
def two_threads(site: BusSite) -> None:
    """One worker process with two threads."""
    site.worker("--threads", "2")


@pytest.fixture
def two_processes(site: BusSite) -> None:
    """Two worker processes with a thread each."""
    site.workers(2)


def send(site: BusSite, channel: str, contents: list[Content]) -> None:
    """Put messages on the bus in one go; each says when that was."""
    sent = {"sent": time.monotonic()}
    messages = [site.layer.prepare(channel, {**content, **sent}) for content in contents]
    assert site.layer.deliver(messages) == []


def p99(notes: list[Note]) -> float:
    """What all but one in a hundred of the messages have not waited longer than, in seconds."""
    waits = sorted(float(note.number) for note in notes)
    assert len(waits) >= 2 * FAST, "too few to speak of a hundredth"
    return waits[int(len(waits) * 0.99)]


def wait_for_the_slow_one(site: BusSite, number: int) -> None:
    """Until that of this round ends; it has not yet."""
    assert len(site.journal.notes("slept")) == number, "the slow one should still run"
    site.wait_for_notes(number + 1, "slept")


@pytest.mark.timeout(60 + 10 * ROUNDS)
@pytest.mark.usefixtures("two_threads")
def test_fast_messages_run_at_once_beside_a_slow_one(site: BusSite) -> None:
    pause = threading.Event()
    for number in range(ROUNDS):
        send(site, "bus.mixed", [{"kind": "slow", "slow": True}])
        site.wait_for_notes(number + 1, "slow")
        for _ in range(FAST):
            send(site, "bus.mixed", [{"kind": "beside"}])
            pause.wait(0.01)  # they come one by one, all the time that the slow one takes
        site.wait_for_notes(FAST * (number + 1), "fast", "beside")
        wait_for_the_slow_one(site, number)
    worst = p99(site.journal.notes("fast", "beside"))
    figures("B10", f"{ROUNDS * FAST} messages beside a slow one", f"p99 {worst * 1000:.0f} ms")
    assert worst < SOON


@pytest.mark.timeout(60 + 10 * ROUNDS)
@pytest.mark.parametrize("workers", ["two_threads", "two_processes"])
def test_fast_messages_behind_a_slow_one_in_the_same_batch_run_at_once(
    site: BusSite, workers: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(workers)
    for number in range(ROUNDS):
        # Fast ones first, so that the threads take many messages at once.
        send(site, "bus.mixed", [{"kind": "first"}] * 4 * FAST)
        site.wait_for_notes(4 * FAST * (number + 1), "fast", "first")
        slow: Content = {"kind": "slow", "slow": True}
        send(site, "bus.mixed", [slow] + [{"kind": "behind"}] * FAST)
        site.wait_for_notes(FAST * (number + 1), "fast", "behind")
        wait_for_the_slow_one(site, number)
    worst = p99(site.journal.notes("fast", "behind"))
    what = f"{ROUNDS * FAST} messages in a batch behind a slow one"
    figures("B10", workers.replace("_", " "), what, f"p99 {worst * 1000:.0f} ms")
    assert worst < SOON


@pytest.mark.usefixtures("two_threads")
def test_a_busy_channel_never_starves_a_quiet_one(site: BusSite) -> None:
    send(site, "bus.busy", [{}] * BACKLOG)
    site.wait_for_notes(BACKLOG // 20, "busy", timeout=20)
    pause = threading.Event()
    for _ in range(2 * FAST):
        send(site, "bus.quiet", [{}])
        pause.wait(0.01)
    site.wait_for_notes(2 * FAST, "quiet")
    assert site.layer.channel_statistics("bus.busy")["messages_pending"] > 0
    worst = p99(site.journal.notes("quiet"))
    figures("B10", f"{2 * FAST} messages beside a full channel", f"p99 {worst * 1000:.0f} ms")
    assert worst < SOON
