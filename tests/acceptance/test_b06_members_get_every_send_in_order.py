"""B6: whoever was added to a group before a send gets it, in the order of the sends, and once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import Member, crowd, free_ports, opened, until, wait_for_workers
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

SOCKETS = size(short=400, full=2000)
GUESTS = size(short=20, full=100)
SENDS = 100
RACES = 500
#: How long the last of all messages may take, in seconds.
DEADLINE = size(short=30.0, full=120.0)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    """Two servers and two workers."""
    with BusSite(tmp_path, redis_server.url) as site:
        for port in free_ports(2):
            site.server(port=port)
        site.workers(2)
        wait_for_workers(site, 2)
        yield site


def urls(site: BusSite, group: str, number: int) -> list[str]:
    """Addresses of so many sockets that begin as members of ``group``, half on each server."""
    servers = [each.command for each in site.processes if "server" in each.command]
    ports = itertools.cycle(int(command[command.index("-p") + 1]) for command in servers)
    return [site.url(f"/groups/{group}", port=next(ports)) for _ in range(number)]


def test_every_socket_gets_every_send_in_order(site: BusSite) -> None:
    expected = [str(number) for number in range(SENDS)]

    async def send_to_all() -> float:
        async with crowd(urls(site, "all", SOCKETS)) as members:
            began = time.monotonic()
            for text in expected:
                await asyncio.to_thread(site.layer.send_group, "all", {"text": text})
            await until(
                lambda: all(len(member.texts) >= SENDS for member in members), DEADLINE, "all texts"
            )
            took = time.monotonic() - began
            await check_that_no_more_comes(site, members)
        for member in members:
            assert member.texts == [*expected, "end"]
        return took

    took = asyncio.run(send_to_all())
    rate = SOCKETS * SENDS / took
    figures("B6", f"{SOCKETS} sockets x {SENDS} sends: 100 % in order", f"{rate:,.0f}/s")


async def check_that_no_more_comes(site: BusSite, members: list[Member]) -> None:
    """What a second delivery would bring stands before the end."""
    await asyncio.to_thread(site.layer.send_group, "all", {"text": "end"})
    await until(lambda: all("end" in member.texts[-1:] for member in members), DEADLINE, "the end")


class Sender:
    """Sends numbers to a group, one after the other."""

    def __init__(self, site: BusSite, group: str) -> None:
        self._site = site
        self._group = group
        #: How many sends have begun, and how many have ended.
        self.begun = 0
        self.ended = 0

    async def send(self, number: int) -> None:
        for _ in range(number):
            self.begun += 1
            content = {"text": str(self.begun - 1)}
            await asyncio.to_thread(self._site.layer.send_group, self._group, content)
            self.ended += 1
            await asyncio.sleep(0.01)  # a pace at which the guests come and go in between


class Guest:
    """A socket that joins and leaves again and again, and is owed what was sent in between."""

    def __init__(self, member: Member, sender: Sender) -> None:
        self._member = member
        self._sender = sender
        self.stays = 0
        self.owed = 0

    async def come_and_go(self) -> None:
        """Until the sends are over."""
        while self._sender.ended < SENDS:
            await self._stay()

    async def _stay(self) -> None:
        """For three sends, or until there are no more."""
        member, sender = self._member, self._sender
        start = len(member.texts)
        await member.say("join", "all")
        await until(lambda: "joined" in member.texts[start:], DEADLINE, "joined")
        first = sender.begun
        await until(lambda: sender.ended >= min(first + 3, SENDS), DEADLINE, "more sends")
        last = sender.ended
        await member.say("leave", "all")
        await until(lambda: "left" in member.texts[start:], DEADLINE, "left")
        self._check(member.texts[start:], first, last)
        self.stays += 1

    def _check(self, texts: list[str], first: int, last: int) -> None:
        """In order, without a gap, none twice, and all from ``first`` on to before ``last``."""
        got = [int(text) for text in texts if text.isdecimal()]
        start = got[0] if got else first
        assert got == list(range(start, start + len(got)))
        assert set(got) >= set(range(first, last))
        self.owed += last - first


def test_those_who_stay_miss_nothing_while_others_come_and_go(site: BusSite) -> None:
    sender = Sender(site, "all")
    expected = [str(number) for number in range(SENDS)]

    async def mingle() -> list[Guest]:
        async with (
            crowd(urls(site, "all", SOCKETS // 4)) as members,
            crowd(urls(site, "", GUESTS)) as visitors,
        ):
            guests = [Guest(visitor, sender) for visitor in visitors]
            await asyncio.gather(
                sender.send(SENDS),
                *(guest.come_and_go() for guest in guests),
                open_and_close(site, sender),
            )
            await until(
                lambda: all(len(member.texts) >= SENDS for member in members), DEADLINE, "all texts"
            )
            await check_that_no_more_comes(site, members)
        for member in members:
            assert member.texts == [*expected, "end"]
        return guests

    guests = asyncio.run(mingle())
    owed = sum(guest.owed for guest in guests)
    assert owed > SENDS
    stays = sum(guest.stays for guest in guests)
    figures(
        "B6", f"{stays} joins and leaves of {GUESTS} guests during {SENDS} sends", f"{owed} owed"
    )


async def open_and_close(site: BusSite, sender: Sender) -> None:
    """Members that go with their socket, until the sends are over."""
    while sender.ended < SENDS:
        for member in await opened(urls(site, "all", 5)):
            await member.abort()


def test_who_joins_and_sends_at_once_gets_it(site: BusSite) -> None:
    async def race() -> None:
        async with crowd(urls(site, "", 20)) as members:
            groups = [f"race-{number}" for number in range(RACES)]
            for number, group in enumerate(groups):
                await members[number % 20].say("join_and_send", group)
            await until(
                lambda: sum(len(member.texts) for member in members) >= RACES, DEADLINE, "all"
            )
            for number, member in enumerate(members):
                assert member.texts == groups[number::20]

    asyncio.run(race())
    figures("B6", f"{RACES} of {RACES} who joined and sent at once got it")
