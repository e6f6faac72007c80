"""B8: every refusal, expiry, overflow and crash is counted by reason, and logged now and then."""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from channels_classic.exceptions import ChannelFull
from channels_classic.layers.counters import Counter
from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import Member, crowd, until, wait_for_workers
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import figures
from tests.conftest import RedisServer

CONFIG = {
    "channel_capacity": {"groups.narrow": 5, "groups.newest": 3},
    "channel_overflow": {"groups.newest": "drop_oldest"},
    "channel_expiry": {"groups.brief": 0.5},
}
#: A line about what happened to messages: when, on which channel, how many, and why.
LINE = re.compile(r"^(\S+ \S+) WARNING (\S+): (\d+) ([a-z ]*[a-z])", re.MULTILINE)
#: The same is said at most once in so many seconds; the clock of the log has whole seconds.
EVERY, RESOLUTION = 10, 1


@pytest.fixture
def make_site(tmp_path: Path, redis_server: RedisServer) -> Iterator[Callable[..., BusSite]]:
    """Makes the site, with more CONFIG."""
    sites: list[BusSite] = []

    def make(**config: Any) -> BusSite:
        sites.append(BusSite(tmp_path, redis_server.url, **CONFIG, **config))
        return sites[-1]

    yield make
    for site in sites:
        for process in site.processes:
            process.kill()  # faster than to ask; nothing is left to be seen
        site.stop()


@pytest.fixture
def site(make_site: Callable[..., BusSite]) -> BusSite:
    return make_site()


def send(site: BusSite, channel: str, number: int) -> int:
    """Send messages 0, 1, 2, …; how many of them were refused."""
    refused = 0
    for each in range(number):
        try:
            site.layer.send(channel, {"number": each})
        except ChannelFull:
            refused += 1
    return refused


def counts(statistics: dict[str, float]) -> dict[str, float]:
    """The counters of what went wrong that are not zero."""
    wrong = set(Counter) - {Counter.SENT, Counter.COMPLETED}
    return {key: number for key, number in statistics.items() if number and key in wrong}


def wait_for_counts(statistics: Callable[[], dict[str, float]], expected: dict[str, int]) -> None:
    """Until the counters are these, and no others; they may be some steps behind."""
    try:
        wait_until(lambda: counts(statistics()) == expected, 10)
    except AssertionError as error:
        error.add_note(f"expected {expected}, counted {counts(statistics())}")
        raise


def assert_counted(site: BusSite, channel: str, **expected: int) -> None:
    """These on the channel and, as nothing else has happened, in all."""
    wait_for_counts(lambda: site.layer.channel_statistics(channel), expected)
    assert counts(site.layer.global_statistics()) == expected
    figures("B8", f"{channel.partition('!')[0]}: {expected}")


def numbers(site: BusSite, channel: str) -> list[int]:
    """The messages of ``channel`` that were run."""
    return [int(note.who) for note in site.journal.notes(channel)]


def lines(process: Process, channel: str, reason: str) -> list[datetime]:
    """When a process has said this."""
    found = LINE.findall(process.output())
    return [datetime.fromisoformat(each[0]) for each in found if each[1::2] == (channel, reason)]


# Channels -----------------------------------------------------------------------------------


def test_refused_sends_are_counted(site: BusSite) -> None:
    assert send(site, "groups.narrow", 12) == 7
    site.worker()
    site.wait_for_notes(5, "groups.narrow")
    assert_counted(site, "groups.narrow", channel_full_count=7)
    assert site.layer.channel_statistics("groups.narrow")["messages_count"] == 5


def test_messages_dropped_for_newer_ones_are_counted(
    site: BusSite, caplog: pytest.LogCaptureFixture
) -> None:
    assert send(site, "groups.newest", 8) == 0
    site.worker()
    site.wait_for_notes(3, "groups.newest")
    assert numbers(site, "groups.newest") == [5, 6, 7]
    assert_counted(site, "groups.newest", dropped_count=5)
    assert [text for text in caplog.messages if "dropped" in text and "groups.newest" in text]


def test_expired_messages_are_counted(site: BusSite) -> None:
    send(site, "groups.brief", 4)
    wait_until(
        lambda: site.layer.channel_statistics("groups.brief")["messages_max_age"] > 0.6, 5, "age"
    )
    worker = site.worker()
    assert_counted(site, "groups.brief", expired_count=4)
    assert lines(worker, "groups.brief", "expired")
    assert numbers(site, "groups.brief") == []


def test_entries_that_are_no_messages_are_counted(site: BusSite) -> None:
    worker = site.worker()
    shard = site.layer.shards[0]
    for number in range(6):
        shard.call(("XADD", shard.keys.channel("groups.plain"), "*", "m", f"foreign {number}"))
    send(site, "groups.plain", 2)
    site.wait_for_notes(2, "groups.plain")
    assert_counted(site, "groups.plain", undecodable_count=6)
    assert len(lines(worker, "groups.plain", "undecodable")) == 1


def test_messages_without_a_route_are_counted(site: BusSite) -> None:
    site.worker()
    for wanted in ("no", "yes", "no"):
        site.layer.send("groups.picky", {"number": 1, "wanted": wanted})
    site.wait_for_notes(1, "groups.picky")
    assert_counted(site, "groups.picky", unrouted_count=2)


def test_failures_retries_and_dead_letters_are_counted(site: BusSite) -> None:
    worker = site.worker()
    send(site, "groups.fails", 3)
    site.wait_for_notes(12, "groups.fails")
    assert_counted(site, "groups.fails", failed_count=12, retried_count=9, dead_count=3)
    assert len(list(site.layer.dead_letters("groups.fails"))) == 3
    assert len(lines(worker, "groups.fails", "dead")) == 1


def test_what_killed_workers_had_in_hand_is_counted(site: BusSite) -> None:
    victims = site.workers(2, "--only-channels", "groups.hold")
    for number in range(2):
        site.layer.send("groups.hold", {"number": number})
        site.wait_for_notes(1, "groups.hold", number)
    for victim in victims:
        victim.kill()
    suicide = site.worker("--only-channels", "groups.kills")
    send(site, "groups.kills", 1)
    assert suicide.wait() == -signal.SIGKILL
    heir = site.worker()
    site.wait_for_notes(2, "groups.kills", timeout=20)
    wait_for_counts(site.layer.global_statistics, {"lost_count": 2, "recovered_count": 1})
    assert counts(site.layer.channel_statistics("groups.hold")) == {"lost_count": 2}
    assert counts(site.layer.channel_statistics("groups.kills")) == {"recovered_count": 1}
    assert len(lines(heir, "groups.hold", "lost")) == 1
    assert len(lines(heir, "groups.kills", "recovered")) == 1
    figures("B8", "3 killed workers: lost_count 2, recovered_count 1")


def test_the_same_is_said_at_most_once_in_ten_seconds(site: BusSite) -> None:
    worker = site.worker()
    shard = site.layer.shards[0]
    key = shard.keys.channel("groups.plain")
    entries, end = 0, time.monotonic() + EVERY + 1.5
    while time.monotonic() < end:
        shard.call(("XADD", key, "*", "m", "foreign"))
        entries += 1
        wait_until(lambda: not site.layer.channel_statistics("groups.plain")["messages_pending"])
    assert_counted(site, "groups.plain", undecodable_count=entries)
    first, second = lines(worker, "groups.plain", "undecodable")
    assert (second - first).total_seconds() >= EVERY - RESOLUTION
    assert re.search(r"\[and \d+ more times in the last 1\d s\]", worker.output())


# Servers ------------------------------------------------------------------------------------


def process_of(reply_channel: str) -> str:
    """The name that all reply channels of a server begin with."""
    return reply_channel.partition("!")[0] + "!"


def deaf_socket(site: BusSite, group: str) -> socket.socket:
    """An open WebSocket whose client never reads again."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    client.connect(("127.0.0.1", site.port))
    client.sendall(
        f"GET /groups/{group} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(1)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return client


async def until_overflow(site: BusSite, process: str, reader: Member, number: int) -> None:
    """Send to the group, at the pace of the one that reads, until so many others are closed."""
    end = time.monotonic() + 20
    while site.layer.channel_statistics(process)["overflow_count"] < number:
        assert time.monotonic() < end, "not all were closed within 20 s"
        reader.texts.clear()
        await asyncio.to_thread(site.layer.send_group, "loud", {"text": "x" * 65536})
        await until(lambda: reader.texts, 10, "the one that reads")


def test_sockets_closed_because_their_client_does_not_read_are_counted(site: BusSite) -> None:
    server = site.server()
    site.worker()
    wait_for_workers(site, 1)
    deaf = [deaf_socket(site, "loud") for _ in range(2)]

    async def shout() -> str:
        async with crowd([site.url("/groups/loud")]) as [member]:
            process = process_of(await member.ask("name"))
            await until_overflow(site, process, member, 2)
        return process

    process = asyncio.run(shout())
    assert site.layer.channel_statistics(process)["overflow_count"] == 2
    assert site.layer.global_statistics()["overflow_count"] == 2
    assert server.output().count("Closed a WebSocket on /groups/loud that does not read") == 1
    for client in deaf:
        client.close()
    figures("B8", "2 sockets that did not read: overflow_count 2")


def test_sends_that_a_server_misses_are_counted_and_stay_counted(
    make_site: Callable[..., BusSite], caplog: pytest.LogCaptureFixture
) -> None:
    limit, sends = 20, 50
    site = make_site(inbox_limit=limit)
    server = site.server()
    site.worker()
    wait_for_workers(site, 1)

    async def miss() -> str:
        async with crowd([site.url("/groups/far")] * 3) as members:
            process = process_of(await members[0].ask("name"))
            members[0].texts.clear()
            inbox = site.layer.shards[0].keys.inbox(process)
            await until(lambda: site.layer.shards[0].call(("XLEN", inbox)) == [0], 5, "no entry")
            server.send_signal(signal.SIGSTOP)
            for number in range(sends):
                site.layer.send_group("far", {"text": str(number)})
            server.send_signal(signal.SIGCONT)
            expected = [str(number) for number in range(limit)]
            await until(lambda: all(m.texts == expected for m in members), 10, "the first ones")
        return process

    process = asyncio.run(miss())
    statistics = site.layer.channel_statistics(process)
    assert statistics["missed_count"] == sends - limit
    assert site.layer.global_statistics()["missed_count"] == sends - limit
    server.terminate()
    assert site.layer.global_statistics()["missed_count"] == sends - limit
    said = [*caplog.messages, *server.output().splitlines()]
    assert [text for text in said if "missed" in text]
    figures("B8", f"a server behind by {sends} sends, of {limit}: missed_count {sends - limit}")


# Everything at once ---------------------------------------------------------------------------


def test_all_reasons_together_add_up(site: BusSite) -> None:
    send(site, "groups.narrow", 12)
    send(site, "groups.newest", 8)
    send(site, "groups.brief", 4)
    wait_until(
        lambda: site.layer.channel_statistics("groups.brief")["messages_max_age"] > 0.6, 5, "age"
    )
    workers = site.workers(2)
    send(site, "groups.fails", 5)
    site.layer.send("groups.picky", {"number": 1, "wanted": "no"})
    expected = {
        "channel_full_count": 7,
        "dropped_count": 5,
        "expired_count": 4,
        "failed_count": 20,
        "retried_count": 15,
        "dead_count": 5,
        "unrouted_count": 1,
    }
    wait_for_counts(site.layer.global_statistics, expected)
    assert_bounded(workers)
    figures("B8", f"in all: {expected}")


def assert_bounded(processes: list[Process]) -> None:
    """No process has said the same twice within ten seconds."""
    for process in processes:
        said: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
        for moment, channel, _, reason in LINE.findall(process.output()):
            said[channel, reason].append(datetime.fromisoformat(moment))
        for times in said.values():
            gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
            assert all(gap >= EVERY - RESOLUTION for gap in gaps), process.report()
