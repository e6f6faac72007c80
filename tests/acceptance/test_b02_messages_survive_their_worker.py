"""B2: a message that is delivered at least once survives its worker, and its consumer's errors."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import START, BusSite
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

KILLS = size(short=3, full=50)
#: Workers that are killed at the same time, each with a message in its hands.
AT_ONCE = 3
#: What is promised, in seconds.
SOON = 10.0


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    with BusSite(tmp_path, redis_server.url, capacity=1000) as site:
        yield site


def count(site: BusSite, channel: str, counter: str) -> int:
    return int(site.layer.channel_statistics(channel)[f"{counter}_count"])


@pytest.mark.timeout(120 + 15 * KILLS)
def test_a_message_runs_again_within_ten_seconds_of_the_kill(site: BusSite) -> None:
    workers = site.workers(AT_ONCE + 1)
    delays: list[float] = []
    for first in range(0, KILLS, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, KILLS))
        killed = {number: kill_who_has(number, site, workers) for number in numbers}
        workers += site.workers(len(numbers), ready=False)
        delays += [until_run_again(number, site) - killed[number] for number in numbers]
        for worker in workers:
            worker.wait_for_line("Channels: ", START)
    figures("B2", f"{KILLS} kills", f"run again after {min(delays):.1f} to {max(delays):.1f} s")
    assert 0 < min(delays) <= max(delays) < SOON
    ran = sorted(int(note.number) for note in site.journal.notes("ran", "precious"))
    assert ran == list(range(KILLS))
    assert count(site, "bus.precious", "recovered") == KILLS


def kill_who_has(number: int, site: BusSite, workers: list[Process]) -> float:
    """Send a message and kill the worker that took it; when that was."""
    site.layer.send("bus.precious", {"number": number})
    [began] = site.wait_for_notes(1, "began", number)
    [holder] = [worker for worker in workers if worker.pid == began.pid]
    workers.remove(holder)
    holder.kill()
    return time.monotonic()


def until_run_again(number: int, site: BusSite) -> float:
    """When the message that somebody has been killed with was begun again, by another."""
    first, second = site.wait_for_notes(2, "began", number, timeout=2 * SOON)
    assert first.pid != second.pid
    return second.time


def test_a_plain_message_in_the_hands_of_a_killed_worker_is_counted_and_not_run_twice(
    site: BusSite,
) -> None:
    workers = site.workers(2)
    site.layer.send("bus.plain", {"number": 1, "hold": True})
    [ran] = site.wait_for_notes(1, "ran", "plain")
    [holder] = [worker for worker in workers if worker.pid == ran.pid]
    holder.kill()
    wait_until(lambda: count(site, "bus.plain", "lost"), 2 * SOON, "the message counted as lost")
    site.layer.send("bus.plain", {"number": 2})
    notes = site.wait_for_notes(2, "ran", "plain")
    assert [note.number for note in notes] == ["1", "2"]
    assert count(site, "bus.plain", "lost") == 1
    assert pending(site, "bus.plain") == 0


LOAD = size(short=4_000, full=200_000)


@pytest.mark.timeout(120 + LOAD // 100)
def test_no_message_is_missing_when_workers_are_killed_under_load(site: BusSite) -> None:
    workers = site.workers(AT_ONCE + 1)
    kills = 0
    for first in range(0, LOAD, 500):
        numbers = range(first, first + 500)
        contents = [{"number": number} for number in numbers]
        messages = [site.layer.prepare("bus.risky", content) for content in contents]
        assert site.layer.deliver(messages) == []
        if first % 2000 == 1000:
            workers.pop(0).kill()
            workers += site.workers(1, ready=False)
            kills += 1
        wait_until(lambda: pending(site, "bus.risky") < 400, 2 * SOON, "room on the channel")
    wait_until(lambda: pending(site, "bus.risky") == 0, 2 * SOON, "the rest")
    ran = [int(note.number) for note in site.journal.notes("ran", "risky")]
    again = len(ran) - len(set(ran))
    recovered = count(site, "bus.risky", "recovered")
    figures(
        "B2", f"{LOAD:,} messages", f"{kills} kills", f"{recovered} recovered", f"{again} ran twice"
    )
    assert set(ran) == set(range(LOAD))
    assert again <= recovered


def pending(site: BusSite, channel: str) -> int:
    return int(site.layer.channel_statistics(channel)["messages_pending"])


INNOCENT = 300  # so many that workers take several at once when the poison comes


def test_a_message_that_kills_its_worker_three_times_is_buried_and_its_neighbours_run(
    site: BusSite,
) -> None:
    site.workers(4)
    contents = [{"number": number} for number in range(1, INNOCENT + 1)]
    contents.insert(INNOCENT - 20, {"number": 0, "poison": True})
    refused = site.layer.deliver([site.layer.prepare("bus.risky", each) for each in contents])
    assert refused == []
    wait_until(lambda: count(site, "bus.risky", "dead"), 4 * SOON, "the poison to be buried")
    poisoned = site.journal.notes("poison")
    assert [note.number for note in poisoned] == ["0", "1", "2"]
    assert len({note.pid for note in poisoned}) == 3
    [letter] = site.layer.dead_letters("bus.risky")
    assert letter.content == {"number": 0, "poison": True}
    assert (letter.attempts, letter.error) == (3, "killed its worker 3 times")
    ran = {int(note.number) for note in site.wait_for_notes(INNOCENT, "ran", "risky")}
    assert ran == set(range(1, INNOCENT + 1))
    assert pending(site, "bus.risky") == 0


def test_a_consumer_that_fails_is_tried_with_growing_pauses_and_then_buried(
    site: BusSite,
) -> None:
    site.worker()
    site.layer.send("bus.failing", {"number": 7, "mended": "mended"})
    wait_until(lambda: count(site, "bus.failing", "dead"), 10, "the message to be buried")
    tries = site.journal.notes("tried", 7)
    assert [note.number for note in tries] == ["0", "1", "2"]
    first, second = (later.time - earlier.time for earlier, later in itertools.pairwise(tries))
    assert 0.15 <= first < 5  # 0.2 s, less a quarter by chance; then due within 1 s
    assert 0.3 <= second < 5
    [letter] = site.layer.dead_letters()
    assert (letter.channel, letter.attempts) == ("bus.failing", 3)
    assert letter.error == "ValueError: not yet mended"
    assert 'raise ValueError("not yet mended")' in letter.traceback
    assert count(site, "bus.failing", "retried") == 2
    wait_until(lambda: count(site, "bus.failing", "failed") == 3, 5, "3 failures to be counted")


def test_a_dead_letter_is_listed_and_runs_once_it_is_put_back(site: BusSite) -> None:
    site.worker()
    site.layer.send("bus.failing", {"number": 7, "mended": "mended"})
    wait_until(lambda: count(site, "bus.failing", "dead"), 10, "the message to be buried")
    listed = dead(site, "list")
    assert "bus.failing" in listed
    assert "ValueError: not yet mended" in listed
    site.folder.joinpath("mended").touch()
    dead(site, "requeue", "--all", "--yes")
    site.wait_for_notes(1, "ran", "failing")
    assert dead(site, "list") == "No dead letters.\n"


def dead(site: BusSite, verb: str, *options: str) -> str:
    return site.run("dead", verb, "--layer", "asgi:channel_layer", *options)
