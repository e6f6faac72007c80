"""What is attached to connections on Redis: what it costs, and its end."""

from __future__ import annotations

import asyncio
import time

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis import attachments, plan
from channels_classic.layers.on_redis.attachments import STAYS, SWEEP, Sweeper
from channels_classic.layers.redis import RedisChannelLayer
from tests.layers.on_redis.pairs import name_on, pair
from tests.layers.test_redis import keys_of, run

__all__ = ["pair"]

FAR = 60
#: How long the attachments of a closed connection are kept, by default, in seconds.
LIFE = 120


@pytest.fixture
def layer(make_redis) -> RedisChannelLayer:
    return make_redis()


def left(layer, *channels, key="user"):
    """Who of ``channels`` has something."""
    found = layer.attached(channels, key)
    return [channel for channel, each in zip(channels, found, strict=True) if each is not None]


def commands(client):
    """How often each command was given by clients and scripts."""
    return {name: each["calls"] for name, each in client.info("commandstats").items()}


def ttl_of(client, layer, kind="attached"):
    [name] = client.scan_iter(f"{layer.prefix}{kind}:*")
    return client.ttl(name)


# The verbs --------------------------------------------------------------------------------


def test_many_channels_cost_one_command_for_each_process(layer, client):
    channels = [f"{process}!{n}" for process in "pq" for n in range(100)]
    for channel in channels:
        layer.attach(channel, "user", {"of": channel})
    before = commands(client).get("cmdstat_hmget", 0)
    assert layer.attached(channels, "user") == [{"of": channel} for channel in channels]
    assert commands(client)["cmdstat_hmget"] - before == 2


def test_what_is_attached_is_encrypted(make_redis, client):
    layer = make_redis(symmetric_encryption_keys=["secret"])
    for channel in ("p!a", "plain"):
        layer.attach(channel, "user", {"name": "Grace"})
        assert layer.attached([channel], "user") == [{"name": "Grace"}]
    keys = layer.shards[0].keys
    assert b"Grace" not in client.hget(keys.attached("user", "p!"), "a")
    assert b"Grace" not in client.get(keys.attached("user", "plain"))


def test_what_no_key_decrypts_is_counted_and_passed_over(make_redis):
    theirs = make_redis(symmetric_encryption_keys=["theirs"])
    theirs.attach("p!a", "user", {})
    layer = make_redis(prefix=theirs.prefix, symmetric_encryption_keys=["ours"])
    layer.attach("p!b", "user", {"name": "Ada"})
    assert layer.attached(["p!a", "p!b"], "user") == [None, {"name": "Ada"}]
    assert layer.channel_statistics("p!a")["undecodable_count"] == 1


def test_to_read_what_is_not_there_leaves_no_key(layer, client):
    assert layer.attached(["p!a", "plain"], "user") == [None, None]
    layer.detach("p!a", "user")
    assert keys_of(client, layer) == []


def test_a_process_that_nobody_heard_of_ends_some_day(layer, client):
    """A test's reply channel, say: its attachments go when a worker looks for dead servers."""
    layer.attach("p!a", "user", {})
    score = client.zscore(layer.shards[0].keys.servers, "p!")
    assert 0 < score / 1000 - time.time() <= layer.group_expiry + 1


def test_each_shard_has_what_belongs_to_its_processes(pair):
    layer = pair.layer()
    names = [name_on(layer, shard, kind) for kind in ("p!", "p?") for shard in layer.shards]
    names = [f"{name}a" for name in names]
    for name in names:
        layer.attach(name, "user", {"of": name})
    for shard in layer.shards:
        [found] = shard.call(("KEYS", f"{layer.prefix}attached:*"))
        assert len(found) == len([name for name in names if layer.shard_of(name) is shard]) > 0
    assert layer.attached(names[::-1], "user") == [{"of": name} for name in names[::-1]]


def test_a_shard_that_is_away_is_not_waited_for_twice(pair):
    layer = pair.layer()
    here, there = (f"{name_on(layer, shard)}a" for shard in layer.shards)
    layer.attach(here, "user", {})
    pair.servers[1].kill()
    with pytest.raises(LayerUnavailable):
        layer.attach(there, "user", {})
    with pytest.raises(LayerUnavailable, match="has not answered lately"):
        layer.attached([here, there], "user")
    assert layer.attached([here], "user") == [{}]


# The end of connections ---------------------------------------------------------------------


class Clocked:
    """A sweeper of the process ``p!`` with a clock of its own; ``over`` are its connections."""

    def __init__(self, layer) -> None:
        self.layer = layer
        self.now = 0.0
        self.over: set[str] = set()
        is_over = self.over.__contains__
        self.sweeper = Sweeper(layer.shards[0], "p!", is_over, clock=lambda: self.now)

    def after(self, seconds, *channels):
        """Let time pass, beat by beat; who of ``channels`` still has something."""

        async def check():
            for _ in range(seconds):
                self.now += 1
                await self.sweeper.sweep()

        run(self.layer, check)
        return left(self.layer, *channels)


@pytest.fixture
def clocked(layer) -> Clocked:
    return Clocked(layer)


def test_a_closed_connection_keeps_what_it_has_for_a_life(layer, clocked):
    for local in "ab":
        layer.attach(f"p!{local}", "user", {})
    clocked.over.add("a")
    assert clocked.after(LIFE, "p!a", "p!b") == ["p!a", "p!b"]
    assert clocked.after(int(2 * SWEEP), "p!a", "p!b") == ["p!b"]


def test_all_that_it_has_goes_under_every_key(layer, clocked, client):
    for key in ("user", "session"):
        layer.attach("p!a", key, {})
    clocked.over.add("a")
    clocked.after(LIFE + 60)
    assert keys_of(client, layer) == ["attachments", "servers"]


def test_what_comes_after_the_close_goes_too(layer, clocked):
    clocked.over.add("a")
    clocked.after(LIFE)
    layer.attach("p!a", "user", {})
    assert clocked.after(LIFE, "p!a") == ["p!a"]
    assert clocked.after(60, "p!a") == []


def test_without_attachments_a_beat_asks_nothing(layer, clocked, client):
    clocked.after(1)  # which opens the connection
    before = commands(client)
    clocked.after(int(SWEEP) - 2)
    now = commands(client)
    assert {name for name in now if now[name] != before.get(name)} <= {"cmdstat_info"}


def test_where_messages_wait_for_ever_attachments_stay_for_a_day(make_redis):
    layer = make_redis(expiry=None)
    clocked = Clocked(layer)
    layer.attach("p!a", "user", {})
    clocked.over.add("a")
    clocked.after(int(SWEEP) + 1)
    clocked.now += 86_000
    assert clocked.after(1, "p!a") == ["p!a"]
    clocked.now += 500
    assert clocked.after(1, "p!a") == []


@pytest.fixture
def hasty(monkeypatch, make_redis) -> RedisChannelLayer:
    """A layer whose servers look with each beat, and forget what messages have expired for."""
    monkeypatch.setattr(attachments, "SWEEP", 0)
    monkeypatch.setattr(plan, "GRACE", 0)
    return make_redis(expiry=0.05)


async def beats_until(inbox, condition):
    async with asyncio.timeout(5):
        while not condition():
            await inbox.beat(ttl=FAR)


def test_a_beat_removes_what_closed_connections_have(hasty):
    async def check():
        closed = set()
        inbox = hasty.inbox("p!", lambda local: local not in closed)
        for local in "ab":
            hasty.attach(f"p!{local}", "user", {})
        closed.add("a")
        inbox.forget("a")
        await beats_until(inbox, lambda: left(hasty, "p!a", "p!b") == ["p!b"])
        await inbox.close()

    run(hasty, check)


def test_what_a_connection_has_stays_until_its_consumers_have_been_told(hasty):
    """Its frames may wait for their turn for longer than a message lives."""

    async def check():
        inbox = hasty.inbox("p!", lambda local: False)
        hasty.attach("p!a", "user", {})
        hasty.attach("p!b", "user", {})
        inbox.leave_will("b", hasty.prepare("websocket.disconnect", {}))
        await beats_until(inbox, lambda: not left(hasty, "p!a"))
        assert left(hasty, "p!b") == ["p!b"]
        inbox.withdraw_will("b")
        await beats_until(inbox, lambda: not left(hasty, "p!b"))
        await inbox.close()

    run(hasty, check)


# The end of processes -----------------------------------------------------------------------


def stop(layer, *, will=False):
    """A server with one attachment that takes itself off the bus."""

    async def check():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=FAR)
        layer.attach("p!a", "user", {})
        if will:
            inbox.leave_will("a", layer.prepare("bye", {}))
        await inbox.close()

    run(layer, check)


def test_a_server_that_stops_leaves_attachments_for_an_hour(layer, client):
    stop(layer)
    assert left(layer, "p!a") == ["p!a"]
    assert keys_of(client, layer) == ["attached", "attachments"]
    assert all(0 < ttl_of(client, layer, kind) <= STAYS for kind in ("attached", "attachments"))


def test_a_dead_server_leaves_attachments_for_an_hour(layer, client):
    stop(layer, will=True)
    assert ttl_of(client, layer) == -1
    layer.beat("w", ["bye"], ttl=FAR)
    assert layer.receive(["bye"]) == ("bye", {})
    assert left(layer, "p!a") == ["p!a"]
    assert 0 < ttl_of(client, layer) <= STAYS
    assert 0 < ttl_of(client, layer, "attachments") <= STAYS


def test_what_comes_for_a_dead_server_ends_as_well(layer, client):
    stop(layer, will=True)
    layer.beat("w", ["bye"], ttl=FAR)
    layer.detach("p!a", "user")  # with which Redis removes the hash, and its end
    layer.attach("p!a", "user", {})
    assert 0 < ttl_of(client, layer) <= STAYS
    assert client.zscore(layer.shards[0].keys.servers, "p!") is None


def test_a_server_that_was_taken_for_dead_keeps_what_is_attached(hasty, client):
    async def check():
        inbox = hasty.inbox("p!")
        await inbox.beat(ttl=0)
        hasty.attach("p!a", "user", {})
        hasty.beat("w", ["work"], ttl=FAR)
        assert 0 < ttl_of(client, hasty) <= STAYS
        assert await inbox.beat(ttl=FAR)
        assert ttl_of(client, hasty) == ttl_of(client, hasty, "attachments") == -1
        await inbox.close()

    run(hasty, check)
