"""B12: what is no message of ours is counted and skipped, wherever it stands, and stops nobody."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.codec import Codec
from channels_classic.layers.on_redis.wire import Command, Keys
from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import Member, free_ports, opened, until, wait_for_workers
from tests.acceptance.processes import wait_until
from tests.acceptance.soak import figures, size
from tests.conftest import RedisServer

EXAMPLES = size(short=12, full=400)
#: Foreign entries in one example.
ENTRIES = 20
SECRET = "the key of the site"
#: A score in the far future, in ms.
FAR = 10**15
#: How long it may take until all is well again, in seconds.
DEADLINE = 20.0

pytestmark = pytest.mark.timeout(900)


class Ground:
    """Two servers and a worker; a client of each server; and the means to check them."""

    def __init__(self, site: BusSite) -> None:
        self.site = site
        self.ports = free_ports(2)
        self.members: list[Member] = []
        self.processes: list[str] = []
        self._number = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """With a socket on each server."""
        urls = [self.site.url("/groups/all", port=port) for port in self.ports]
        self.members = await opened(urls)
        names = [await member.ask("name") for member in self.members]
        self.processes = [name.partition("!")[0] + "!" for name in names]
        yield
        await asyncio.gather(*(member.close() for member in self.members))

    @property
    def keys(self) -> Keys:
        """The names of all keys."""
        return self.site.layer.shards[0].keys

    def redis(self, *command: Any) -> Any:
        """The answer to one command."""
        return self.site.layer.shards[0].call(command)[0]

    async def goes_on(self, *members: Member, group: str = "all") -> None:
        """Echoes, sends to a group and tasks all work, and nobody has stopped."""
        self._number += 1
        text = f"round {self._number}"
        for member in members or self.members:
            await self.echoes(member, text)
        await asyncio.to_thread(self.site.layer.send_group, group, {"text": f"all {text}"})
        for member in members or self.members:
            await until(lambda: f"all {text}" in member.texts, DEADLINE, text)  # noqa: B023
        await self.works("groups.task")
        self.lives()

    async def echoes(self, member: Member, text: str) -> None:
        """The text comes back."""
        await member.say("echo", text)
        await until(lambda: text in member.texts, DEADLINE, f"the echo of {text}")

    async def works(self, channel: str) -> None:
        """A message on ``channel`` is run."""
        self.site.layer.send(channel, {"number": self._number})
        await until(
            lambda: self.site.journal.notes(channel, self._number), DEADLINE, f"work on {channel}"
        )

    def lives(self) -> None:
        """No process has ended."""
        for process in self.site.processes:
            assert process.popen is not None
            assert process.popen.poll() is None, process.report()


@pytest.fixture
def ground(tmp_path: Path, redis_server: RedisServer) -> Iterator[Ground]:
    config = {"symmetric_encryption_keys": [SECRET]}
    with BusSite(tmp_path, redis_server.url, **config) as site:
        ground = Ground(site)
        for port in ground.ports:
            site.server(port=port)
        site.worker()
        wait_for_workers(site, 1)
        yield ground


# Foreign entries --------------------------------------------------------------------------------

junk = st.binary(max_size=40)
numbers = st.one_of(st.integers().map(str), junk)
#: Contents that are no dict of ours: foreign, in clear, of another key, and of our key but no dict.
payloads = st.one_of(
    junk,
    st.dictionaries(st.text(max_size=5), st.integers(0, 9)).map(msgpack.packb),
    junk.map(lambda data: Codec(max_size=1000, keys=["another"]).encode({"data": data})),
    st.integers(0, 9).map(lambda n: Codec(max_size=1000, keys=[SECRET])._fernet.encrypt(b"%c" % n)),
)
names = st.one_of(junk, st.text("abc.!?*", max_size=8).map(str.encode))
#: Fields of an entry on a channel: no payload or an unreadable one, and anything beside it.
on_channels = st.one_of(
    st.lists(st.tuples(st.sampled_from(["r", "a", "c", "t", "x", ""]), numbers), min_size=1),
    st.tuples(payloads, st.lists(st.tuples(st.sampled_from("ract"), numbers), max_size=4)).map(
        lambda pair: [("m", pair[0]), *pair[1]]
    ),
)
#: Fields of an entry in an inbox that nobody could take for ours, and others that look like it.
strangers = st.one_of(
    st.tuples(names.map(lambda name: b"!" + name), payloads),
    st.tuples(junk.map(lambda name: b"x" + name), junk),
)
lookalikes = st.tuples(
    st.tuples(st.sampled_from([b"=", b"+", b"-", b"~"]), names).map(b"".join), numbers
)
delayed = st.one_of(
    junk,
    st.lists(st.one_of(junk, st.integers(-9, 9), st.none(), st.lists(junk))).map(msgpack.packb),
)


def flat(pairs: list[tuple[Any, Any]]) -> list[Any]:
    return [each for pair in pairs for each in pair]


class Dirt:
    """Strategies for commands that put foreign entries where our own are expected."""

    def __init__(self, ground: Ground) -> None:
        keys = ground.keys
        process = ground.processes[0]
        stranger = "foreign.reply.1234!"
        self.channel = on_channels.map(
            lambda pairs: ("XADD", keys.channel("groups.plain"), "*", *flat(pairs))
        )
        self.inbox = strangers.map(lambda pair: ("XADD", keys.inbox(process), "*", *pair))
        self.elsewhere = st.one_of(
            lookalikes.map(lambda pair: ("XADD", keys.inbox(process), "*", *pair)),
            delayed.map(lambda entry: ("ZADD", keys.later("groups.brief"), 1, entry)),
            delayed.map(lambda entry: ("ZADD", keys.later(process), 1, entry)),
            names.map(lambda name: ("ZADD", keys.group("all"), FAR, name)),
            names.map(lambda name: ("SADD", keys.members("all", process), name)),
            names.map(lambda name: ("SADD", keys.joined(process), name)),
            names.map(lambda name: ("ZADD", keys.workers("groups.plain"), FAR, name)),
            names.map(lambda name: ("ZADD", keys.servers, 1, name)),
            names.map(lambda name: ("HSET", keys.waiting(stranger), name, "many")),
            junk.map(lambda value: ("SET", keys.changed(stranger), value)),
            junk.map(lambda value: ("SET", keys.gone(stranger), value)),
            st.tuples(names, junk).map(lambda pair: ("HSET", keys.wills(stranger), *pair)),
            st.tuples(names, junk).map(lambda pair: ("HSET", keys.stats("groups.brief"), *pair)),
            st.tuples(names, junk).map(lambda pair: ("XADD", keys.dead, "*", *pair)),
        )


class Fuzzing:
    """Puts foreign entries everywhere, and knows how many must have been counted."""

    def __init__(self, ground: Ground, loop: asyncio.Runner) -> None:
        self._ground = ground
        self._loop = loop
        self.on_channel = 0
        self.in_inbox = 0
        self.elsewhere = 0

    def run(self) -> None:
        """``EXAMPLES`` times ``ENTRIES`` of them, the same each time this runs."""
        dirt = Dirt(self._ground)
        kinds = st.one_of(
            dirt.channel.map(lambda command: ("on_channel", command)),
            dirt.inbox.map(lambda command: ("in_inbox", command)),
            dirt.elsewhere.map(lambda command: ("elsewhere", command)),
        )

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # the site cannot be put back to try less
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(kinds, min_size=ENTRIES, max_size=ENTRIES))
        def throw(commands: list[tuple[str, Command]]) -> None:
            for kind, command in commands:
                self._ground.redis(*command)
                setattr(self, kind, getattr(self, kind) + 1)
            self._loop.run(self._ground.goes_on())

        throw()


def test_foreign_entries_are_counted_and_skipped(ground: Ground) -> None:
    site = ground.site
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        runner.run(stack.enter_async_context(ground.open()))
        fuzzing = Fuzzing(ground, runner)
        fuzzing.run()
        ground.redis("ZADD", ground.keys.servers, 1, "foreign.reply.1234!")
        process = ground.processes[0]
        seen = wait_until(lambda: counted(site, "groups.plain", fuzzing.on_channel), DEADLINE)
        wait_until(lambda: counted(site, process, fuzzing.in_inbox), DEADLINE, "the inbox")
        wait_until(
            lambda: ground.redis("ZSCORE", ground.keys.servers, "foreign.reply.1234!") is None,
            DEADLINE,
            "the clean-up of a server that never was",
        )
        runner.run(ground.goes_on())
        runner.run(stack.aclose())
    assert seen == fuzzing.on_channel
    assert site.layer.channel_statistics("groups.plain")["undecodable_count"] > seen / 2
    list(site.layer.dead_letters())
    for each in site.processes:
        assert "Traceback" not in each.output(), each.report()
    figures(
        "B12",
        f"{fuzzing.on_channel} foreign entries on a channel, {fuzzing.in_inbox} in an inbox",
        f"{fuzzing.elsewhere} elsewhere: counted, skipped",
    )


def counted(site: BusSite, name: str, number: int) -> int:
    """How many entries were passed over, once there are so many; some say that they are old."""
    statistics = site.layer.channel_statistics(name)
    found = int(statistics["undecodable_count"] + statistics["expired_count"])
    return found if found >= number else 0


# Keys of another type -----------------------------------------------------------------------------

#: Each kind of key: those of a process are those of the first server.
KINDS: dict[str, Callable[[Keys, str], str]] = {
    "a channel": lambda keys, process: keys.channel("groups.plain"),
    "the channel of new sockets": lambda keys, process: keys.channel("websocket.connect"),
    "stats of a channel": lambda keys, process: keys.stats("groups.plain"),
    "stats of a process": lambda keys, process: keys.stats(process),
    "later of a channel": lambda keys, process: keys.later("groups.plain"),
    "later of a process": lambda keys, process: keys.later(process),
    "inbox": lambda keys, process: keys.inbox(process),
    "waiting": lambda keys, process: keys.waiting(process),
    "group": lambda keys, process: keys.group("other"),
    "members": lambda keys, process: keys.members("all", process),
    "joined": lambda keys, process: keys.joined(process),
    "changed": lambda keys, process: keys.changed(process),
    "wills": lambda keys, process: keys.wills(process),
    "gone": lambda keys, process: keys.gone(process),
    "workers": lambda keys, process: keys.workers("groups.brief"),
    "servers": lambda keys, process: keys.servers,
    "dead": lambda keys, process: keys.dead,
}


#: What the beats of workers and servers touch: it takes that long until a worker counts as dead.
OF_BEATS = ("stats of a channel", "later of a channel", "later of a process", "gone", "workers")
OF_BEATS += ("wills", "joined", "servers")
LONG = 8.0


@contextlib.contextmanager
def spoilt(ground: Ground, kinds: Iterable[str]) -> Iterator[None]:
    """The keys of these kinds hold something else while the block runs."""
    keys = {kind: KINDS[kind](ground.keys, ground.processes[0]) for kind in kinds}
    for kind, key in keys.items():
        ground.redis("DEL", key)
        ground.redis("LPUSH" if kind in ("changed", "gone") else "SET", key, "foreign")
    yield
    ground.redis("DEL", *keys.values())


def test_keys_of_another_type_hold_up_nobody_else(ground: Ground) -> None:
    problems: dict[str, str] = {}

    async def spoil_each() -> None:
        async with ground.open():
            for kind in KINDS:
                with spoilt(ground, [kind]):
                    try:
                        await ground.goes_on(ground.members[1])
                    except (AssertionError, LayerUnavailable) as error:
                        problems[kind] = str(error).partition("\n")[0]
            await all_is_well(ground)

    asyncio.run(spoil_each())
    assert problems == {}
    statistics = ground.site.layer.channel_statistics("websocket.connect")
    assert statistics["undecodable_count"] >= 1
    figures("B12", f"{len(KINDS)} kinds of keys with another type: the others go on")


def test_beats_go_on_beside_keys_of_another_type(ground: Ground) -> None:
    async def spoil_for_long() -> None:
        async with ground.open():
            end = time.monotonic() + LONG
            with spoilt(ground, OF_BEATS):
                while time.monotonic() < end:
                    await ground.goes_on(ground.members[1])
                    [newcomer] = await opened([ground.members[1].url])
                    await newcomer.close()
            await all_is_well(ground)

    asyncio.run(spoil_for_long())


async def all_is_well(ground: Ground) -> None:
    """Once the keys are free again, everything works everywhere."""
    for member in ground.members:
        seen = len(member.texts)
        await member.say("join", "fresh")  # a message to the group of before may come first
        await until(lambda m=member, n=seen: "joined" in m.texts[n:], DEADLINE, "the join")
    await ground.goes_on(group="fresh")
    await ground.works("groups.plain")
    for member in await opened([member.url for member in ground.members]):
        await ground.echoes(member, "new")
        await member.close()
