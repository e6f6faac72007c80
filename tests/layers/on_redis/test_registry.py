"""What Redis knows of a server process, kept true."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.registry import pack_will, unpack_will
from channels_classic.layers.traffic import Envelope
from tests.layers.test_redis import run, take

FAR = 60


@pytest.fixture
def served(make_redis):
    """``served(check)``: run ``check(layer, inbox)`` with an inbox that has beaten once."""
    layer = make_redis()

    def serve(check, *, close: bool = True):
        async def main():
            inbox = layer.inbox("p!")
            assert not await inbox.beat(ttl=FAR)
            await check(layer, inbox)
            if close:
                await inbox.close()

        run(layer, main)
        return layer

    return serve


async def join(layer, inbox, group, *locals_):
    for local in locals_:
        layer.group_add(group, f"p!{local}")
    await inbox.read()


async def next_millisecond(layer):
    """Ids of entries are times: those of a new stream do not come before those of the old one."""
    began = None
    while True:
        [(seconds, micros)] = layer.shards[0].call(("TIME",))
        now = int(seconds) * 1000 + int(micros) // 1000
        began = began or now
        if now > began:
            return


def test_a_beat_that_finds_all_as_it_was_says_so(served):
    async def check(layer, inbox):
        assert not await inbox.beat(ttl=FAR)

    served(check)


def test_groups_are_restored_after_a_flush(served):
    async def check(layer, inbox):
        await join(layer, inbox, "chat", "a", "b")
        await join(layer, inbox, "news", "b")
        layer.flush()
        assert layer.group_channels("chat") == []
        assert await inbox.beat(ttl=FAR)
        assert sorted(layer.group_channels("chat")) == ["p!a", "p!b"]
        assert layer.group_channels("news") == ["p!b"]
        layer.send_group("chat", {"n": 1})
        [arrival] = await inbox.read()
        assert sorted(arrival.locals) == ["a", "b"]
        assert not await inbox.beat(ttl=FAR)

    served(check)


def test_an_inbox_that_is_gone_with_the_rest_is_no_error(served, caplog):
    async def check(layer, inbox):
        layer.flush()
        assert await inbox.beat(ttl=FAR)

    served(check)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_inbox_with_smaller_ids_is_read_from_its_start(make_redis, client):
    """As after a failover to a server whose clock is behind, with nothing of the old one."""
    layer = make_redis(expiry=None)

    async def check():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=FAR)
        await join(layer, inbox, "chat", "a")
        layer.flush()
        client.xadd(layer.shards[0].keys.inbox("p!"), {"!a": layer.encode({"n": 1})}, id="5-1")
        assert await inbox.beat(ttl=FAR)
        [arrival] = await inbox.read()
        assert arrival.content == {"n": 1}
        await inbox.close()

    run(layer, check)


def test_wills_are_restored_after_a_flush(served, client):
    async def check(layer, inbox):
        inbox.leave_will("a", layer.prepare("bye", {"of": "a"}))
        await inbox.beat(ttl=FAR)
        before = client.hgetall(layer.shards[0].keys.wills("p!"))
        layer.flush()
        await inbox.beat(ttl=FAR)
        assert client.hgetall(layer.shards[0].keys.wills("p!")) == before != {}
        inbox.withdraw_will("a")

    served(check)


def test_a_server_that_was_taken_for_dead_learns_which_wills_were_sent(served):
    async def check(layer, inbox):
        inbox.leave_will("a", layer.prepare("bye", {"of": "a"}))
        await inbox.beat(ttl=0)  # and nothing for too long
        layer.beat("living", ["bye"], ttl=FAR)
        assert layer.receive(["bye"]) == ("bye", {"of": "a"})
        inbox.leave_will("b", layer.prepare("bye", {"of": "b"}))
        assert await inbox.beat(ttl=FAR)
        assert inbox.take_ended() == ["a"]
        layer.flush()  # nobody takes anybody for dead
        assert await inbox.beat(ttl=FAR)
        assert inbox.take_ended() == []
        inbox.withdraw_will("b")

    served(check)


def test_a_socket_that_comes_while_it_is_found_out_which_wills_were_sent_lives_on(
    served, monkeypatch
):
    async def check(layer, inbox):
        inbox.leave_will("a", layer.prepare("bye", {"of": "a"}))
        await inbox.beat(ttl=0)
        layer.beat("living", ["bye"], ttl=FAR)
        ask, shard = layer.shards[0].ask_async, layer.shards[0]

        async def meanwhile(commands):
            replies = await ask(commands)
            if "HKEYS" in [command[0] for command in commands]:
                inbox.leave_will("b", layer.prepare("bye", {"of": "b"}))
            return replies

        monkeypatch.setattr(shard, "ask_async", meanwhile)
        await inbox.beat(ttl=FAR)
        assert inbox.take_ended() == ["a"]
        inbox.withdraw_will("b")

    served(check)


def test_wills_that_could_not_be_looked_up_are_looked_up_by_the_next_beat(served, monkeypatch):
    async def check(layer, inbox):
        inbox.leave_will("a", layer.prepare("bye", {"of": "a"}))
        await inbox.beat(ttl=0)
        layer.beat("living", ["bye"], ttl=FAR)
        ask, shard = layer.shards[0].ask_async, layer.shards[0]

        async def refused(commands):
            if "HKEYS" in [command[0] for command in commands]:
                raise LayerUnavailable
            return await ask(commands)

        monkeypatch.setattr(shard, "ask_async", refused)
        with pytest.raises(LayerUnavailable):
            await inbox.beat(ttl=FAR)
        assert inbox.take_ended() == []
        monkeypatch.undo()
        await inbox.beat(ttl=FAR)
        assert inbox.take_ended() == ["a"]

    served(check)


def test_a_group_that_its_last_member_left_after_a_flush_stays_empty(served):
    """The leave finds no member on Redis, and counts all the same."""

    async def check(layer, inbox):
        await join(layer, inbox, "chat", "a")
        layer.flush()
        await next_millisecond(layer)
        layer.group_discard("chat", "p!a")
        await inbox.read()
        await inbox.beat(ttl=FAR)
        assert layer.group_channels("chat") == []

    served(check)


def test_a_restarted_redis_is_noticed(make_redis, own_redis):
    own_redis.start()
    layer = make_redis(hosts=[own_redis.url])

    async def check():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=FAR)
        await join(layer, inbox, "chat", "a")
        own_redis.stop()
        own_redis.start()
        with pytest.raises(ConnectionError):  # the connection of before
            await inbox.beat(ttl=FAR)
        assert await inbox.beat(ttl=FAR)
        layer.shards[0].close()
        assert layer.group_channels("chat") == ["p!a"]
        await inbox.close()

    run(layer, check)


def test_a_new_master_that_has_not_heard_who_left_is_told(make_redis, client):
    layer = make_redis()
    keys, opened = layer.shards[0].keys, {"a", "b"}

    async def main():
        inbox = layer.inbox("p!", opened.__contains__)
        await inbox.beat(ttl=FAR)
        await join(layer, inbox, "chat", "a", "b")
        await join(layer, inbox, "news", "a")
        opened.remove("a")
        inbox.forget("a")
        await layer.send_async("x", {})  # behind it
        assert layer.group_channels("chat") == ["p!b"]
        for group in ("chat", "news"):  # as it was before, which the new one holds for true
            client.sadd(keys.members(group, "p!"), "a")
        inbox._registry._run_id = b"of the old master"
        assert await inbox.beat(ttl=FAR)
        await inbox.beat(ttl=FAR)
        assert layer.group_channels("chat") == ["p!b"]
        assert not client.exists(keys.group("news"))
        await inbox.close()

    run(layer, main)


def test_a_group_without_members_is_left_by_its_process(served, client):
    async def check(layer, inbox):
        await join(layer, inbox, "chat", "a")
        layer.group_discard("chat", "p!a")
        await inbox.read()
        keys = layer.shards[0].keys
        assert client.zcard(keys.group("chat")) == 1  # so that a join at this moment is not lost
        await inbox.beat(ttl=FAR)
        assert not client.exists(keys.group("chat"), keys.joined("p!"))

    served(check)


def test_a_group_that_is_joined_again_is_not_left(served, client):
    async def check(layer, inbox):
        await join(layer, inbox, "chat", "a")
        layer.group_discard("chat", "p!a")
        await inbox.read()
        layer.group_add("chat", "p!b")  # not read yet
        await inbox.beat(ttl=FAR)
        assert layer.group_channels("chat") == ["p!b"]
        assert client.smembers(layer.shards[0].keys.joined("p!")) == {b"chat"}

    served(check)


def test_a_connection_that_is_forgotten_leaves_its_groups(served):
    async def check(layer, inbox):
        await join(layer, inbox, "chat", "a", "b")
        inbox.forget("a")
        await inbox.beat(ttl=FAR)
        assert layer.group_channels("chat") == ["p!b"]
        assert layer.group_count("chat") == 1

    served(check)


def test_a_server_that_closes_leaves_nothing(served, client):
    async def check(layer, inbox):
        await join(layer, inbox, "chat", "a")
        inbox.leave_will("a", layer.prepare("bye", {}))
        inbox.withdraw_will("a")

    layer = served(check)
    assert list(client.scan_iter(f"{layer.prefix}*")) == []


def test_a_server_that_closes_with_wills_leaves_them_to_be_sent(served, client):
    async def check(layer, inbox):
        await join(layer, inbox, "chat", "a")
        inbox.leave_will("a", layer.prepare("bye", {"of": "a"}))

    layer = served(check)
    receiver = layer.receiver(["bye"], worker="w")
    layer.beat("w", ["bye"], ttl=FAR)
    assert [delivery.content for delivery in take(receiver)] == [{"of": "a"}]
    assert layer.group_channels("chat") == []


def test_a_delayed_reply_comes_with_a_beat(served, until):
    async def check(layer, inbox):
        layer.deliver([layer.prepare("p!a", {"n": 1}, delay=0.001)])
        arrivals = []
        while not arrivals:
            await inbox.beat(ttl=FAR)
            if layer.channel_statistics("p!a")["messages_pending"]:
                arrivals = await inbox.read()
        assert [arrival.locals for arrival in arrivals] == [("a",)]
        inbox.drained("a")

    served(check)


def test_a_will_survives_its_packing():
    will = Envelope("websocket.disconnect", b"\x80")
    assert unpack_will(pack_will(will)) == will


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x01", b"\x92\x01\x02", b"\x91\xa1a"])
def test_what_is_no_will_is_none(data):
    assert unpack_will(data) is None
