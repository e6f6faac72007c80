"""B9: Redis restarts, empties itself, hangs or cuts connections: all go on by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import Member, crowd, free_ports, opened, until, wait_for_workers
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

SOCKETS = size(short=20, full=200)
ROUNDS = size(short=1, full=5)
HANG = size(short=3.0, full=10.0)
#: Until then every process must go on, in seconds after Redis is back.
PROMISED = 5.0
#: A message of a socket that Redis lost: the next one of this socket runs in so many seconds (B4).
LANE = 10.0
#: How long a client waits for an echo before it asks again; pauses between two echoes, between
#: two sends to the group, and between two tasks; all in seconds.
PATIENCE, TICK, SEND, TASK = 1.0, 0.1, 0.1, 0.02

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def site(tmp_path: Path, own_redis: RedisServer) -> Iterator[BusSite]:
    """Two servers and two workers."""
    own_redis.start()
    with BusSite(tmp_path, own_redis.url) as site:
        for port in free_ports(2):
            site.server(port=port)
        site.workers(2)
        wait_for_workers(site, 2)
        yield site


def ports(site: BusSite) -> list[int]:
    servers = [each.command for each in site.processes if "server" in each.command]
    return [int(command[command.index("-p") + 1]) for command in servers]


def workers(site: BusSite) -> list[Process]:
    return [each for each in site.processes if "runworker" in each.command]


# What is done to Redis ------------------------------------------------------------------------


def restart(server: RedisServer) -> None:
    server.stop()
    server.start()


def flush(server: RedisServer) -> None:
    ask(server, "FLUSHALL")


def hang(server: RedisServer) -> None:
    process = server.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(HANG)  # the fault itself
    process.send_signal(signal.SIGCONT)


def cut(server: RedisServer) -> None:
    assert ask(server, "CLIENT", "KILL", "TYPE", "normal") > 5


def ask(server: RedisServer, *command: str) -> int:
    with contextlib.closing(redis.Redis.from_url(server.url)) as client:
        return int(client.execute_command(*command))


FAULTS: dict[str, Callable[[RedisServer], None]] = {
    "restart": restart,
    "flush": flush,
    "hang": hang,
    "cut": cut,
}

# Load -------------------------------------------------------------------------------------------


class Echoes:
    """A socket that asks for one echo after the other; what was sent to the group comes between."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.number = 0
        #: When the last request that was answered had been sent.
        self.answered = 0.0

    async def run(self) -> None:
        """Until cancelled; a request that is not answered in time is not repeated."""
        while True:
            self.number += 1
            text, asked, seen = f"echo {self.number}", time.monotonic(), len(self.member.texts)
            await self.member.say("echo", text)
            with contextlib.suppress(AssertionError):
                await until(lambda: text in self.member.texts[seen:], PATIENCE, text)  # noqa: B023
                self.answered = asked
            await asyncio.sleep(TICK)


class Load:
    """Everybody is busy: sockets with echoes, sends to their group, tasks."""

    def __init__(self, site: BusSite, members: list[Member]) -> None:
        self.site = site
        self.members = members
        self.echoes = [Echoes(member) for member in members]
        self.refused = 0
        self._tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While the block runs."""
        jobs = [each.run() for each in self.echoes]
        layer = self.site.layer
        jobs.append(self._ticks(SEND, lambda n: layer.send_group("all", {"text": f"all {n}"})))
        jobs.append(self._ticks(TASK, lambda n: layer.send("groups.task", {"number": n})))
        self._tasks = [asyncio.create_task(job) for job in jobs]
        yield
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

    async def _ticks(self, pause: float, send: Callable[[int], None]) -> None:
        number = 0
        while True:
            number += 1
            try:
                await asyncio.to_thread(send, number)
            except (LayerUnavailable, ChannelFull):  # as a view would tell its user
                self.refused += 1
            await asyncio.sleep(pause)

    async def goes(self) -> None:
        """Every socket has got an echo."""
        began = time.monotonic()
        await until(lambda: self.slowest() > began, 15, "echoes on all sockets")

    def slowest(self) -> float:
        """When the socket that has waited longest had asked for its last echo."""
        return min(echoes.answered for echoes in self.echoes)


# What must be true afterwards ---------------------------------------------------------------------


async def all_go_on(load: Load, since: float) -> dict[str, float]:
    """Seconds after ``since`` until each kind of work was done by each process."""
    checks = {
        "echo": echo_everywhere(load, since),
        "connect": connect_everywhere(load.site),
        "group": reach_everybody(load),
        "task": work_everywhere(load.site, since),
    }
    ends = await asyncio.gather(*(seconds(check, since) for check in checks.values()))
    return dict(zip(checks, ends, strict=True))


async def seconds(check: Awaitable[None], since: float) -> float:
    await check
    return time.monotonic() - since


async def echo_everywhere(load: Load, since: float) -> None:
    await until(lambda: load.slowest() > since, 2 * LANE, "an echo on each socket")


async def connect_everywhere(site: BusSite) -> None:
    """A new client of each server gets a socket, and an echo on it."""
    for port in ports(site):
        deadline = time.monotonic() + 2 * LANE
        while not await connects(site.url("/groups/", port=port)):
            assert time.monotonic() < deadline, f"no new socket on {port}"


async def connects(url: str) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            [member] = await opened([url])
    except Exception:  # whatever the client makes of a refusal
        return False
    try:
        return await member.ask("echo", "new", timeout=PATIENCE) == "new"
    except AssertionError:
        return False
    finally:
        await member.close()


async def reach_everybody(load: Load) -> None:
    """One send reaches all members."""
    deadline = time.monotonic() + 2 * LANE
    number = 0
    while True:
        number += 1
        text = f"marker {time.monotonic()}"
        with contextlib.suppress(LayerUnavailable):
            await asyncio.to_thread(load.site.layer.send_group, "all", {"text": text})
        try:
            await until(lambda: got_by_all(load.members, text), 0.3, text)  # noqa: B023
            return
        except AssertionError:
            assert time.monotonic() < deadline, "no send reaches all members"


def got_by_all(members: list[Member], text: str) -> bool:
    return all(text in member.texts for member in members)


async def work_everywhere(site: BusSite, since: float) -> None:
    """Each worker runs tasks."""
    pids = {process.pid for process in workers(site)}

    def busy() -> bool:
        notes = site.journal.notes("groups.task")
        return pids <= {note.pid for note in notes if note.time > since}

    await until(busy, 2 * LANE, "tasks of each worker")


async def suffer(load: Load, server: RedisServer, fault: str) -> dict[str, float]:
    """One fault, and how long it took until all was well."""
    await load.goes()
    await asyncio.to_thread(FAULTS[fault], server)
    took = await all_go_on(load, time.monotonic())
    for member in load.members:
        assert member.code is None, f"a socket was closed with {member.code}"
        member.texts.clear()
    figures("B9", fault, *(f"{what} after {after:.1f} s" for what, after in took.items()))
    assert max(after for what, after in took.items() if what != "echo") < PROMISED, took
    assert took["echo"] < LANE, took
    return took


@pytest.mark.parametrize("fault", FAULTS)
def test_all_go_on_by_themselves(site: BusSite, own_redis: RedisServer, fault: str) -> None:
    async def suffer_each() -> None:
        addresses = [site.url("/groups/all", port=port) for port in ports(site)]
        async with crowd(addresses * (SOCKETS // 2)) as members:
            load = Load(site, members)
            async with load.running():
                for _ in range(ROUNDS):
                    await suffer(load, own_redis, fault)
            assert site.layer.group_count("all") == SOCKETS
            names = {await member.ask("name") for member in members}
            ended = {note.who for note in site.journal.notes("disconnect")}
            assert not names & ended  # nobody was taken for dead

    asyncio.run(suffer_each())
    for process in site.processes:
        assert process.popen is not None
        assert process.popen.poll() is None, process.report()
    wait_until(lambda: site.layer.group_count("all") == 0, 15, "no members once all are closed")
