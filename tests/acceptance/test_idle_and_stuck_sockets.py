"""What thousands of idle sockets cost, and that clients that never read cost the others nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite, rss
from tests.acceptance.crowd import Member, crowd, wait_for_workers
from tests.acceptance.processes import Process, wait_until
from tests.acceptance.soak import FULL, figures, size
from tests.conftest import RedisServer

IDLE = size(short=600, full=2000)
#: What an idle socket may cost the server, in KiB.
EACH = 25
STUCK = 100
TEXT = "x" * 16 * 1024
#: Sends until 200 MB wait for those who do not read.
SENDS = 200 * 1024 * 1024 // len(TEXT) // STUCK
#: What all of that may cost the server, in MiB.
ROOM = 32
#: As set by default the server finds them out in 50 s, by their silence, as the system takes 2 MB
#: for each; in 40 s who has more waiting.
QUICK = size(short=["--ping-interval", "1", "--ping-timeout", "3", "--write-timeout", "3"], full=[])
ASKS = size(short=100, full=1000)
pytestmark = pytest.mark.timeout(size(short=110, full=600))


@pytest.fixture
def site(tmp_path: Path, own_redis: RedisServer) -> Iterator[BusSite]:
    own_redis.start()
    with BusSite(tmp_path, own_redis.url, capacity=2 * SENDS) as site:
        yield site


def start(site: BusSite, *options: str) -> Process:
    """The server, once a worker is there too."""
    server = site.server(*options)
    site.worker()
    wait_for_workers(site, 1)
    return server


def test_an_idle_socket_costs_little(site: BusSite) -> None:
    server = start(site)
    url = site.url("/groups/idle")

    async def run() -> float:
        async with crowd([url] * 100):  # what the first ones need once for all
            pass
        before = rss(server)
        async with crowd([url] * IDLE):
            await asyncio.sleep(0)
            return (rss(server) - before) * 1024 / IDLE

    each = asyncio.run(run())
    figures("Idle sockets", f"{IDLE}", f"{each:.1f} KiB each")
    assert each <= EACH


@contextlib.contextmanager
def stuck_readers(port: int) -> Iterator[None]:
    """Sockets that open, as members of the group, and read nothing ever after."""
    with contextlib.ExitStack() as stack:
        for _ in range(STUCK):
            stack.enter_context(_stuck_reader(port))
        yield


def _stuck_reader(port: int) -> socket.socket:
    client = socket.socket()
    client.settimeout(30)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(
        b"GET /groups/stuck HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert client.recv(12) == b"HTTP/1.1 101"
    return client


def descriptors(process: Process) -> int:
    """How many files and connections a process holds."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


async def asked(member: Member) -> list[float]:
    """The seconds that each of some echoes took, sorted."""
    seconds = []
    for number in range(ASKS):
        began = time.monotonic()
        assert await member.ask("echo", str(number), timeout=30) == str(number)
        seconds.append(time.monotonic() - began)
    return sorted(seconds)


@pytest.mark.parametrize("way", ["group", "one by one"])
def test_clients_that_never_read_cost_the_others_nothing(site: BusSite, way: str) -> None:
    server = start(site, *QUICK)
    most = before = rss(server)

    async def run() -> tuple[list[float], list[float], float]:
        nonlocal most, before
        member = await Member(site.url("/groups/")).open()
        alone = await asked(member)
        few = descriptors(server)
        with stuck_readers(site.port):
            before = rss(server)
            began = time.monotonic()
            sending = asyncio.create_task(asyncio.to_thread(send, site, way))
            beside = await asked(member)
            await sending
            while descriptors(server) > few:
                most = max(most, rss(server))
                assert time.monotonic() - began < 60, "some are still connected"
                await asyncio.sleep(0.05)
            cut_after = time.monotonic() - began
        await member.close()
        return alone, beside, cut_after

    alone, beside, cut_after = asyncio.run(run())
    p99 = [each[int(len(each) * 0.99) - 1] * 1000 for each in (alone, beside)]
    figures(
        f"Stuck readers, {way}",
        f"{STUCK} with {SENDS * STUCK * len(TEXT) / 1e6:.0f} MB",
        f"memory +{most - before:.0f} MiB",
        f"others' p99 {p99[0]:.1f} then {p99[1]:.1f} ms",
        f"all cut after {cut_after:.0f} s",
    )
    assert most - before < ROOM
    if FULL:  # with so few echoes it is the luck of the machine
        assert p99[1] < 2 * p99[0]


def send(site: BusSite, way: str) -> None:
    """200 MB, by a group or to each by name."""
    wait_until(lambda: len(site.journal.notes("connect")) > STUCK, 30, "all to be members")
    names = [note.who for note in site.journal.notes("connect")[-STUCK:]]
    for _ in range(SENDS):
        if way == "group":
            site.layer.send_group("stuck", {"text": TEXT})
        else:
            for name in names:
                with contextlib.suppress(site.layer.ChannelFull):
                    site.layer.send(name, {"text": TEXT})
