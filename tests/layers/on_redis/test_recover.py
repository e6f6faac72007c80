"""What a beat does for others: due messages, dead workers, dead servers."""

from __future__ import annotations

import pytest

from channels_classic.layers.traffic import Envelope, lane_of
from tests.layers.test_redis import run, take

FAR = 60


def lapsed(layer, worker="living", channels=("a",)):
    return layer.beat(worker, list(channels), ttl=FAR).lapsed


def die(layer, worker="dying", channels=("a",)):
    """The heartbeat of ``worker`` ends, and nobody withdraws it."""
    layer.beat(worker, list(channels), ttl=0, recover=False)


# Dead workers -----------------------------------------------------------------------------


def test_what_a_dead_worker_had_in_hand_comes_to_the_one_who_looks(make_redis):
    layer = make_redis()
    layer.send("a", {"n": 1})
    take(layer.receiver(["a"], worker="dying"))
    die(layer)
    [delivery] = lapsed(layer)
    assert (delivery.channel, delivery.content) == ("a", {"n": 1})
    assert lapsed(layer) == []


def test_what_a_living_worker_has_in_hand_stays_there(make_redis):
    layer = make_redis()
    layer.send("a", {"n": 1})
    receiver = layer.receiver(["a"], worker="busy")
    layer.beat("busy", ["a"], ttl=FAR)
    take(receiver)
    assert lapsed(layer) == []


def test_only_one_of_many_gets_what_a_dead_worker_had(make_redis):
    layer = make_redis()
    layer.send("a", {})
    take(layer.receiver(["a"], worker="dying"))
    die(layer)
    layer.beat("second", ["a"], ttl=FAR, recover=False)
    assert len(lapsed(layer, "first") + lapsed(layer, "second")) == 1


def test_what_the_finder_had_in_hand_when_it_died_is_found_again(make_redis):
    layer = make_redis()
    layer.send("a", {})
    take(layer.receiver(["a"], worker="dying"))
    die(layer)
    assert len(lapsed(layer, "finder")) == 1
    die(layer, "finder")
    assert len(lapsed(layer)) == 1


def test_a_dead_worker_leaves_no_consumer_behind(make_redis, client):
    layer = make_redis()
    layer.send("a", {})
    take(layer.receiver(["a"], worker="dying"))
    die(layer)
    layer.settle(lapsed(layer), [])
    lapsed(layer)
    left = client.xinfo_consumers(layer.shards[0].keys.channel("a"), "workers")
    assert [each["name"] for each in left] == [b"living/beat"]


def test_a_worker_that_withdraws_leaves_only_what_it_has_in_hand(make_redis, client):
    layer = make_redis()
    idle, busy = (layer.receiver(["a"], worker="going") for _ in range(2))
    layer.beat("going", ["a"], ttl=FAR)
    take(idle)
    layer.send("a", {})
    take(busy)
    layer.withdraw("going", ["a"])
    names = [
        each["name"].decode()
        for each in client.xinfo_consumers(layer.shards[0].keys.channel("a"), "workers")
    ]
    assert names == [busy.name]
    assert len(lapsed(layer)) == 1


def test_a_lapsed_message_keeps_its_lane_and_its_counts(make_redis):
    layer = make_redis()
    payload = layer.encode({})
    layer.deliver([Envelope("a", payload, lane="p!x 3", attempts=2, crashes=1)])
    take(layer.receiver(["a"], worker="dying"))
    die(layer)
    [delivery] = lapsed(layer)
    assert (delivery.lane, delivery.attempts, delivery.crashes) == ("p!x 3", 2, 1)
    assert delivery.payload == payload


def test_a_lapsed_entry_that_is_no_message_is_counted(make_redis, client):
    layer = make_redis()
    receiver = layer.receiver(["a"], worker="dying")
    take(receiver)
    key = layer.shards[0].keys.channel("a")
    client.xadd(key, {"m": b"\xc1", "r": lane_of("p!x", 1)})
    client.xreadgroup("workers", receiver.name, {key: ">"})
    die(layer)
    assert lapsed(layer) == []
    assert layer.channel_statistics("a")["undecodable_count"] == 1
    assert client.xpending(key, "workers")["pending"] == 0


# Dead servers -----------------------------------------------------------------------------


def server(layer, *, groups=("chat",), wills=("a",), channel="bye"):
    """A server with a socket for each will, in the groups; it beats once and is heard no more."""

    async def live():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=FAR)
        for local in wills:
            inbox.leave_will(local, layer.prepare(channel, {"of": local}))
            for group in groups:
                layer.group_add(group, f"p!{local}")
        await inbox.read()
        await inbox.beat(ttl=0)
        await inbox._link.close()

    run(layer, live)


def test_the_wills_of_a_dead_server_are_sent(make_redis):
    layer = make_redis()
    server(layer, wills="abc")
    lapsed(layer)
    assert sorted(layer.receive(["bye"])[1]["of"] for _ in range(3)) == ["a", "b", "c"]


def test_nothing_of_a_dead_server_stays(make_redis, client):
    layer = make_redis()
    server(layer, groups=("chat", "news"), wills="ab")
    layer.send("p!a", {})
    layer.send_group("chat", {})
    lapsed(layer)
    kinds = {
        key.decode()[len(layer.prefix) :].partition(":")[0]
        for key in client.scan_iter(f"{layer.prefix}*")
        if b"p!" in key or b"group" in key or b"servers" in key
    }
    assert kinds == {"gone", "stats"}
    assert layer.group_channels("chat") == []


def test_more_wills_than_their_channel_has_room_for_are_sent_as_room_comes(make_redis):
    layer = make_redis(capacity=2)
    wills = [str(number) for number in range(7)]
    server(layer, wills=wills)
    receiver, came = layer.receiver(["bye"], worker="living"), []
    for _ in range(10):
        lapsed(layer, channels=["bye"])
        taken = take(receiver)
        receiver.settle(taken, [])
        came += [delivery.content["of"] for delivery in taken]
    assert sorted(came) == wills
    assert layer.group_channels("chat") == []


def test_a_server_that_comes_back_while_its_wills_are_sent_keeps_the_rest(
    make_redis, client, monkeypatch
):
    layer = make_redis(capacity=1000)
    server(layer, groups=("chat",), wills=[str(number) for number in range(600)])
    keys, deliver, sent = layer.shards[0].keys, layer.deliver, []

    def and_it_beats(envelopes):
        sent.extend(envelopes)
        client.delete(keys.gone("p!"))
        return deliver(envelopes)

    monkeypatch.setattr(layer, "deliver", and_it_beats)
    lapsed(layer)
    assert 0 < len(sent) < 600
    assert client.hlen(keys.wills("p!")) == 600 - len(sent)
    assert layer.group_channels("chat") != []


def test_a_living_server_keeps_its_wills(make_redis):
    layer = make_redis()

    async def check():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=FAR)
        inbox.leave_will("a", layer.prepare("bye", {}))
        layer.group_add("chat", "p!a")
        await layer.close_async()
        lapsed(layer)
        assert layer.receive(["bye"]) == (None, None)
        assert layer.group_channels("chat") == ["p!a"]
        await inbox.close()

    run(layer, check)


def test_a_will_that_was_withdrawn_is_not_sent(make_redis):
    layer = make_redis()

    async def check():
        inbox = layer.inbox("p!")
        inbox.leave_will("a", layer.prepare("bye", {}))
        inbox.withdraw_will("a")
        await inbox.beat(ttl=0)

    run(layer, check)
    lapsed(layer)
    assert layer.receive(["bye"]) == (None, None)


@pytest.mark.parametrize(
    "will", [b"", b"\x93\x01\x02\x03", b"\x92\xa3a b\xc4\x00", b"\x92\x01\x01"]
)
def test_a_will_that_is_none_is_passed_over(make_redis, client, will):
    layer = make_redis()
    server(layer)
    client.hset(layer.shards[0].keys.wills("p!"), "x", will)
    lapsed(layer)
    assert layer.receive(["bye"]) == ("bye", {"of": "a"})
    assert layer.group_channels("chat") == []


def test_a_join_that_comes_after_the_server_was_found_dead_leaves_nothing(make_redis):
    layer = make_redis()
    server(layer)
    lapsed(layer)
    layer.group_add("chat", "p!a")
    assert layer.group_channels("chat") == []


def test_a_server_that_was_only_slow_is_heard_again(make_redis):
    layer = make_redis()

    async def check():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=0)
        layer.group_add("chat", "p!a")
        await inbox.read()
        lapsed(layer)
        assert layer.group_channels("chat") == []
        assert await inbox.beat(ttl=FAR)
        assert layer.group_channels("chat") == ["p!a"]
        assert not await inbox.beat(ttl=FAR)
        await inbox.close()

    run(layer, check)


def test_a_process_that_was_never_heard_of_is_a_member_for_group_expiry(make_redis, until):
    layer = make_redis(group_expiry=0.001)
    layer.group_add("chat", "unknown!a")

    def is_gone() -> bool:
        layer.beat("living", ["a"], ttl=FAR)
        return layer.group_channels("chat") == []

    until(is_gone)


def test_counters_say_what_was_recovered(make_redis, caplog):
    layer = make_redis()
    server(layer, wills="ab")
    lapsed(layer)
    assert layer.channel_statistics("bye")["recovered_count"] == 2
    assert "bye: 2 recovered (sockets of a server that died)" in caplog.text


def test_the_connections_of_a_server_that_died_are_gone_for_who_sends_to_them(make_redis):
    layer = make_redis()
    server(layer)
    assert not layer.is_gone("p!a")
    lapsed(layer)
    assert layer.is_gone("p!a")
    assert not layer.is_gone("another!a")


# What somebody else put there ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["channel", "later", "workers", "stats"])
def test_a_foreign_key_of_one_channel_does_not_keep_a_beat_from_the_others(
    make_redis, client, kind
):
    layer = make_redis()
    client.set(getattr(layer.shards[0].keys, kind)("broken"), "something else")
    layer.deliver([layer.prepare("a", {"n": 1}, delay=0.001)])
    layer.send("b", {"n": 2})
    take(layer.receiver(["b"], worker="dying"))
    die(layer, channels=["b"])
    found: list = []
    receiver = layer.receiver(["a"])
    while not found:
        assert len(lapsed(layer, channels=["broken", "a"])) == 0
        found = take(receiver)
    assert [delivery.content for delivery in lapsed(layer, channels=["broken", "b"])] == [{"n": 2}]


@pytest.mark.parametrize("kind", ["inbox", "waiting", "joined", "changed", "wills", "later"])
def test_a_dead_server_with_a_foreign_key_is_removed(make_redis, client, kind):
    layer = make_redis()
    server(layer, wills="a")
    key = getattr(layer.shards[0].keys, kind)("p!")
    client.delete(key)
    client.set(key, "something else")
    lapsed(layer)
    assert not client.exists(key)
    assert client.zcard(layer.shards[0].keys.servers) == 0
