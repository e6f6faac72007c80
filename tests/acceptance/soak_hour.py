"""Traffic for an hour, while workers are killed: memory stays flat, and the counters are true.

``make soak-hour`` runs it; SOAK_SECONDS in the environment is how long.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite, rss
from tests.acceptance.crowd import AT_ONCE, Member, crowd, until, wait_for_workers
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import figures
from tests.conftest import RedisServer

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
SOCKETS = 500
#: Messages per second: echoes of all sockets together, and tasks.
ECHOES, TASKS = 160, 40
#: Seconds between two killed workers, two messages that fail for good, two foreign entries, and
#: two sends to the group of all sockets.
KILL, FAIL, FOREIGN, GROUP = 30.0, 5.0, 10.0, 5.0
#: How long a socket lives, in seconds, and how long its client waits for an echo.
LIFE, PATIENCE = (10.0, 60.0), 15.0
#: How often the processes are looked at, in seconds; the first part of the time is to warm up.
SAMPLE, WARM_UP = max(0.5, SECONDS / 360), 0.25
#: How much the memory of a process may grow in the rest of the time, in MiB.
GROWTH = 5.0
#: Connections to Redis that the threads of a process may have come to need at the same time.
SPARE = 3
#: Until then all that was under way is done, in seconds.
DEADLINE = 60.0
NOT_FAILS, NOT_KILLS = (
    ("--exclude-channels", "groups.fails"),
    ("--exclude-channels", "groups.kills"),
)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 600)]


class Provoked(Counter[str]):
    """What was done, and what should have been counted for it."""

    def expected(self, site: BusSite) -> dict[tuple[str, str], int]:
        """By channel and counter; all that is not here is zero."""
        ended = len(site.journal.notes("disconnect"))
        return {
            ("websocket.connect", "lost_count"): self["unopened"],
            ("websocket.receive", "lost_count"): self["unanswered"],
            ("websocket.disconnect", "lost_count"): self["closed"] - ended,
            ("groups.kills", "recovered_count"): self["kills"],
            ("groups.fails", "failed_count"): 4 * self["fails"],
            ("groups.fails", "retried_count"): 3 * self["fails"],
            ("groups.fails", "dead_count"): self["fails"],
            ("groups.plain", "undecodable_count"): self["foreign"],
        }


class Traffic:
    """All that goes on at the same time, until the time is over."""

    def __init__(self, site: BusSite) -> None:
        self.site = site
        self.done = Provoked()
        self.end = time.monotonic() + SECONDS
        self._chance = random.Random(1)
        self._handshakes = asyncio.Semaphore(AT_ONCE)

    @property
    def goes_on(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self.end

    async def run(self) -> None:
        """Everything, for all the time."""
        layer = self.site.layer
        await asyncio.gather(
            *(self._seat() for _ in range(SOCKETS)),
            self._kill_workers(),
            self._every(1 / TASKS, "tasks", lambda n: layer.send("groups.task", {"number": n})),
            self._every(FAIL, "fails", lambda n: layer.send("groups.fails", {"number": n})),
            self._every(FOREIGN, "foreign", self._throw),
            self._every(GROUP, "groups", lambda n: layer.send_group("all", {"text": f"all {n}"})),
        )

    async def _every(self, seconds: float, what: str, act: Callable[[int], object]) -> None:
        began = time.monotonic()
        while self.goes_on:
            await asyncio.to_thread(act, self.done[what])
            self.done[what] += 1
            next_time = began + self.done[what] * seconds
            await asyncio.sleep(max(0.0, min(next_time, self.end) - time.monotonic()))

    def _throw(self, number: int) -> None:
        shard = self.site.layer.shards[0]
        shard.call(("XADD", shard.keys.channel("groups.plain"), "*", "m", f"foreign {number}"))

    # Sockets ----------------------------------------------------------------------------

    async def _seat(self) -> None:
        """One socket after the other."""
        await asyncio.sleep(self._chance.uniform(0, min(LIFE[0], SECONDS / 10)))
        while self.goes_on:
            member = Member(self.site.url("/groups/all"))
            try:
                async with self._handshakes:
                    await member.open()
            except Exception:  # whatever the client makes of a refusal
                self.done["unopened"] += 1
                continue
            await self._live(member)
            await (member.abort if self._chance.random() < 0.5 else member.close)()
            self.done["closed"] += 1

    async def _live(self, member: Member) -> None:
        death = time.monotonic() + self._chance.uniform(*LIFE)
        while self.goes_on and time.monotonic() < death:
            began = time.monotonic()
            if await self._echoed(member):
                self.done["echoes"] += 1
            else:
                self.done["unanswered"] += 1
            pause = SOCKETS / ECHOES - (time.monotonic() - began)
            await asyncio.sleep(max(0.0, pause))

    async def _echoed(self, member: Member) -> bool:
        member.texts.clear()
        text = f"echo {self.done['echoes']}"
        await member.say("echo", text)
        with suppress(AssertionError):
            await until(lambda: text in member.texts, PATIENCE, text)
            return True
        return False

    # Workers ----------------------------------------------------------------------------

    async def _kill_workers(self) -> None:
        """One that dies of a message now and then, and a new one in its place."""
        doomed = self.site.workers(2, *NOT_FAILS)
        next_time = time.monotonic() + min(KILL, SECONDS / 4)
        while next_time < self.end - KILL / 2:
            await asyncio.sleep(next_time - time.monotonic())
            self.site.layer.send("groups.kills", {"number": self.done["kills"]})
            self.done["kills"] += 1
            await one_ended(doomed)
            doomed = [each for each in doomed if not has_ended(each)]
            doomed += self.site.workers(1, *NOT_FAILS, ready=False)
            next_time += KILL


def has_ended(process: Process) -> bool:
    return process.popen is not None and process.popen.poll() is not None


async def one_ended(processes: list[Process]) -> None:
    await until(lambda: any(map(has_ended, processes)), DEADLINE, "the death of a worker")


# Looking at the processes -------------------------------------------------------------------------


def descriptors(process: Process) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


class Samples:
    """Looks at some sizes in MiB again and again, and says how they grow."""

    def __init__(self, sizes: dict[str, Callable[[], float]]) -> None:
        self._sizes = sizes
        self._times: list[float] = []
        self.found: dict[str, list[float]] = {name: [] for name in sizes}

    async def take(self, traffic: Traffic) -> None:
        """As long as there is traffic."""
        while traffic.goes_on:
            self._times.append(time.monotonic())
            for name, look in self._sizes.items():
                self.found[name].append(await asyncio.to_thread(look))
            await asyncio.sleep(SAMPLE)

    def slope(self, name: str) -> float:
        """MiB per hour, by least squares, once warm."""
        start = int(len(self._times) * WARM_UP)
        times, sizes = self._times[start:], self.found[name][start:]
        middle, mean = sum(times) / len(times), sum(sizes) / len(sizes)
        over = sum((t - middle) * (s - mean) for t, s in zip(times, sizes, strict=True))
        return 3600 * over / sum((t - middle) ** 2 for t in times)

    def growth(self, name: str) -> float:
        """MiB in the time after the warm-up, by the slope."""
        return self.slope(name) * SECONDS * (1 - WARM_UP) / 3600


@pytest.fixture
def site(tmp_path: Path, own_redis: RedisServer) -> Iterator[BusSite]:
    own_redis.start()
    with BusSite(tmp_path, own_redis.url) as site:
        yield site


def warm_up(site: BusSite) -> None:
    """All kinds of traffic, once: whatever is opened for good is open afterwards."""

    async def all_sockets() -> None:
        async with crowd([site.url("/groups/all")] * SOCKETS) as members:
            for member in members:
                await member.ask("echo", "warm")

    asyncio.run(all_sockets())
    site.wait_for_notes(SOCKETS, "disconnect")
    for number in range(AT_ONCE):
        site.layer.send("groups.plain", {"number": number})
        site.layer.send("groups.task", {"number": -1})
    site.wait_for_notes(AT_ONCE, "groups.plain")
    site.wait_for_notes(AT_ONCE, "groups.task")


async def soak(site: BusSite, sizes: dict[str, Callable[[], float]]) -> tuple[Traffic, Samples]:
    traffic, samples = Traffic(site), Samples(sizes)
    jobs: list[Awaitable[None]] = [traffic.run(), samples.take(traffic)]
    await asyncio.gather(*jobs)
    return traffic, samples


def test_an_hour_of_traffic_leaves_no_trace(site: BusSite) -> None:
    server, steady = site.server(), site.worker(*NOT_KILLS)
    wait_for_workers(site, 1)
    warm_up(site)
    before = {each: descriptors(each) for each in (server, steady)}
    shard = site.layer.shards[0]
    sizes = {
        "server": lambda: rss(server),
        "worker": lambda: rss(steady),
        "redis": lambda: shard.call(("MEMORY", "STATS"))[0][3] / 1024**2,
    }
    traffic, samples = asyncio.run(soak(site, sizes))
    done = traffic.done
    done["closed"] += SOCKETS
    for name in sizes:
        first, last = samples.found[name][0], samples.found[name][-1]
        figures(
            "soak-hour",
            f"{name}: {first:.1f} MiB, then {last:.1f} MiB",
            f"slope {samples.slope(name):+.1f} MiB/h",
        )
    figures("soak-hour", *(f"{what} {number:,}" for what, number in done.items()))
    check_counters(site, done)
    check_tasks(site, done)
    for process, number in before.items():
        allowed = number + SPARE
        wait_until(lambda p=process, n=allowed: descriptors(p) <= n, DEADLINE, "descriptors")
        figures("soak-hour", f"descriptors: {number} before, {descriptors(process)} after")
    assert done["echoes"] + done["tasks"] > 0.9 * SECONDS * (ECHOES + TASKS)
    for name in ("server", "worker"):
        assert samples.growth(name) < GROWTH, f"{name} grows by {samples.slope(name):.1f} MiB/h"


def check_counters(site: BusSite, done: Provoked) -> None:
    """They are what was provoked: on each channel, and nothing else in all."""
    channels = {
        name: lambda name=name: site.layer.channel_statistics(name)
        for name in (*{channel for channel, _ in done.expected(site)}, "groups.task")
    }

    def differences() -> dict[tuple[str, str], tuple[float, int]]:
        expected = done.expected(site)
        counted = {key: channels[key[0]]()[key[1]] for key in expected}
        return {
            key: (counted[key], expected[key]) for key in expected if counted[key] != expected[key]
        }

    with suppress(AssertionError):
        wait_until(lambda: not differences(), DEADLINE)
    figures("soak-hour", *(f"{c} {k} {n}" for (c, k), n in done.expected(site).items()))
    assert differences() == {}
    # A full channel is tried again: when all sockets close at once, nothing is lost by it.
    quiet = ("expired", "dropped", "in_doubt", "missed", "overflow", "unrouted")
    found = site.layer.global_statistics()
    assert {name: found[f"{name}_count"] for name in quiet} == dict.fromkeys(quiet, 0)
    by_channel = sum(each()["lost_count"] for each in channels.values())
    assert found["lost_count"] == by_channel


def check_tasks(site: BusSite, done: Provoked) -> None:
    """Each has run, also those that killed workers had in hand."""
    sent = set(map(str, range(done["tasks"])))
    wait_until(
        lambda: sent <= {note.who for note in site.journal.notes("groups.task")},
        DEADLINE,
        "all tasks",
    )
    recovered = site.layer.channel_statistics("groups.task")["recovered_count"]
    figures("soak-hour", f"{done['tasks']:,} tasks, {recovered:.0f} recovered, none missing")
