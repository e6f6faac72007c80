"""B7: a membership lives exactly as long as its connection, also when the server is killed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import Member, crowd, free_ports, opened, until, wait_for_workers
from tests.acceptance.processes import wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

SOCKETS = size(short=200, full=2000)
ROUNDS = size(short=3, full=10)
#: Sockets on the server that is killed, and on the one that is not.
KILLED, SPARED = size(short=50, full=500), 10
GROUPS = [f"group-{number}" for number in range(10)]
#: What servers keep about their members and sockets.
LEFTOVERS = ("group:", "members:", "joined:", "wills:", "changed:")
#: Until then the leftovers of a killed server must be gone, in seconds.
PROMISED = 30.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    with BusSite(tmp_path, redis_server.url) as site:
        yield site


def leftovers(site: BusSite, *kinds: str) -> list[str]:
    """The keys of these kinds that are on the bus."""
    prefix = site.layer.prefix
    [keys] = site.layer.shards[0].call(("KEYS", f"{prefix}*"))
    names = [key.decode().removeprefix(prefix) for key in keys]
    return [name for name in names if name.startswith(kinds)]


async def come_and_go(site: BusSite) -> None:
    """Sockets open, join and leave groups, and close in all the ways there are."""
    chance = random.Random(7)
    members = await opened([site.url(f"/groups/{chance.choice(GROUPS)}") for _ in range(SOCKETS)])

    async def one(member: Member) -> None:
        for group in chance.sample(GROUPS, 3):
            assert await member.ask("join", group) == "joined"
        assert await member.ask("leave", chance.choice(GROUPS)) == "left"
        await member.say("join", chance.choice(GROUPS))  # and it closes before that is done
        await (member.abort if chance.random() < 0.5 else member.close)()

    await asyncio.gather(*map(one, members))


def test_nothing_is_left_of_sockets_that_have_closed(site: BusSite) -> None:
    site.server()
    site.workers(2)
    wait_for_workers(site, 2)
    for _ in range(ROUNDS):
        asyncio.run(come_and_go(site))
    site.wait_for_notes(ROUNDS * SOCKETS, "disconnect", timeout=30)
    wait_until(lambda: not leftovers(site, "group:", "members:", "joined:", "wills:"), 15, "none")
    assert [site.layer.group_channels(group) for group in GROUPS] == [[]] * len(GROUPS)
    assert sum(map(site.layer.group_count, GROUPS)) == 0
    counted = Counter(note.who for note in site.journal.notes("disconnect"))
    assert len(counted) == ROUNDS * SOCKETS
    assert set(counted.values()) == {1}
    figures("B7", f"{ROUNDS * SOCKETS} sockets came and went, nothing was left")


def test_a_killed_server_leaves_no_member_and_its_sockets_are_ended(site: BusSite) -> None:
    ports = free_ports(2)
    victim = site.server(port=ports[0])
    site.server(port=ports[1])
    site.workers(2)
    wait_for_workers(site, 2)

    async def kill() -> tuple[set[str], float]:
        spared = [site.url("/groups/here", port=ports[1])] * SPARED
        killed = [site.url("/groups/here", port=ports[0])] * KILLED
        async with crowd(spared) as others:
            members = await opened(killed)
            doomed = {await member.ask("name") for member in members}
            assert site.layer.group_count("here") == KILLED + SPARED
            victim.kill()
            took = await until(lambda: is_over(site, doomed), PROMISED, "the end of its sockets")
            await asyncio.to_thread(site.layer.send_group, "here", {"text": "still"})
            await until(lambda: all(m.texts == ["still"] for m in others), 10, "the others")
            assert {note.who for note in site.journal.notes("disconnect")} == doomed
        return doomed, took

    doomed, took = asyncio.run(kill())
    endings = site.wait_for_notes(KILLED + SPARED, "disconnect")
    assert Counter(n.who for n in endings if n.number == "1006") == Counter(doomed)
    assert len(endings) == KILLED + SPARED
    assert len(site.journal.notes("connect")) == len(endings)  # so whoever counts is right
    statistics = site.layer.global_statistics()
    assert statistics["recovered_count"] == KILLED
    assert statistics["lost_count"] == 0
    figures("B7", f"server killed: {KILLED} sockets ended once, groups clean, in {took:.1f} s")


def is_over(site: BusSite, doomed: set[str]) -> bool:
    """Whether the consumers were told of each, and nothing of the dead server is left."""
    process = next(iter(doomed)).partition("!")[0]
    return (
        len(site.journal.notes("disconnect")) >= len(doomed)
        and site.layer.group_count("here") == SPARED
        and not [key for key in leftovers(site, *LEFTOVERS) if process in key]
    )


def test_a_membership_outlives_group_expiry_while_the_socket_is_open(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    expiry = 1
    with BusSite(tmp_path, redis_server.url, group_expiry=expiry) as site:
        site.server("--websocket-timeout", "-1")
        site.worker()
        wait_for_workers(site, 1)
        asyncio.run(stay(site, seconds=3.5 * expiry))


async def stay(site: BusSite, *, seconds: float) -> None:
    """Every send in these seconds reaches every member."""
    async with crowd([site.url("/groups/long")] * 5) as members:
        end = time.monotonic() + seconds
        sent: list[str] = []
        while time.monotonic() < end:
            sent.append(str(len(sent)))
            await asyncio.to_thread(site.layer.send_group, "long", {"text": sent[-1]})
            await until(lambda: all(m.texts == sent for m in members), 5, f"send {sent[-1]}")
        assert site.layer.group_count("long") == 5
