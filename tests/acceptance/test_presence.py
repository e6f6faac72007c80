"""Presence with real servers, workers and sockets: who comes and goes is announced once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import Member, crowd, free_ports, until, wait_for_workers
from tests.conftest import RedisServer

#: How long somebody may be away without a word, in seconds.
GRACE = 1.0
#: Until then the end of a killed server must have been noticed, in seconds.
PROMISED = 30.0
ANN, BOB, CID = 1, 2, 3

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    with BusSite(tmp_path, redis_server.url) as site:
        site.env["BUS_GRACE"] = str(GRACE)
        yield site


def notices(member: Member) -> list[tuple[str, int]]:
    """What was announced to a socket so far."""
    heard = [json.loads(text) for text in member.texts]
    return [(each["presence"], each["user"]["id"]) for each in heard if "presence" in each]


async def hears(member: Member, *expected: tuple[str, int], within: float = 10) -> None:
    """All of that, in this order, was announced to a socket, and no more than that."""
    await until(lambda: len(notices(member)) >= len(expected), within, f"{expected} in turn")
    assert notices(member) == list(expected)


async def who_is_there(member: Member) -> list[int]:
    """The users in the room of a socket."""
    await member.say("who")
    asked = len([text for text in member.texts if "users" in text])
    await until(
        lambda: len([text for text in member.texts if "users" in text]) > asked, 10, "an answer"
    )
    users: list[int] = json.loads([text for text in member.texts if "users" in text][-1])["users"]
    return users


def test_a_user_with_two_tabs_leaves_with_the_second(site: BusSite) -> None:
    site.server()
    site.workers(2)
    wait_for_workers(site, 2)

    async def check() -> None:
        room = site.url("/rooms/lobby/")
        async with crowd([f"{room}{BOB}"]) as [bob]:
            seen = [("join", BOB)]
            await hears(bob, *seen)
            tab = [f"{room}{ANN}"]
            async with crowd(tab) as [first]:
                seen += [("join", ANN)]
                await hears(bob, *seen)
                async with crowd(tab) as [second]:
                    assert await who_is_there(bob) == [ANN, BOB]
                    await first.close()
                    await asyncio.to_thread(site.wait_for_notes, 1, "left", ANN)
                    async with crowd(tab):  # she reloads the page of the first tab
                        await second.abort()
                        await asyncio.to_thread(site.wait_for_notes, 2, "left", ANN)
                        await asyncio.sleep(2 * GRACE)  # nothing is to be announced
                        await hears(bob, *seen)
            seen += [("leave", ANN)]
            await hears(bob, *seen)
            assert await who_is_there(bob) == [BOB]
            async with crowd([f"{room}{ANN}"]):
                seen += [("join", ANN)]
                await hears(bob, *seen)

    asyncio.run(check())


def test_who_was_on_a_killed_server_leaves_once_unless_they_come_back(site: BusSite) -> None:
    ports = free_ports(2)
    victim = site.server(port=ports[0])
    site.server(port=ports[1])
    site.workers(2)
    wait_for_workers(site, 2)

    async def check() -> None:
        dying, living = (site.url("/rooms/lobby/", port=port) for port in ports)
        tab, cid = [f"{dying}{ANN}"], [f"{dying}{CID}"]
        async with (
            crowd([f"{living}{BOB}"]) as [bob],
            crowd(tab) as first,
            crowd(tab) as second,
            crowd(cid) as third,
        ):
            seen = [("join", BOB), ("join", ANN), ("join", CID)]
            await hears(bob, *seen)
            for doomed in (*first, *second, *third):
                await who_is_there(doomed)  # what it sends goes out behind its will
            victim.kill()
            async with crowd([f"{living}{CID}"]):
                seen += [("leave", ANN)]
                await hears(bob, *seen, within=PROMISED)
                assert await who_is_there(bob) == [BOB, CID]
                await asyncio.to_thread(site.wait_for_notes, 1, "left", CID)
                await asyncio.sleep(2 * GRACE)  # nothing more is to be announced
                await hears(bob, *seen)

    asyncio.run(check())
    assert {note.number for note in site.journal.notes("left", ANN)} == {"1006"}
    assert len(site.journal.notes("left", ANN)) == 2
