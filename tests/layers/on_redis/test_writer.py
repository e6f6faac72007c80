"""What one event loop writes: many tasks, few round trips, and each hears of its own sends."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.traffic import Envelope


@pytest.fixture
def trips(monkeypatch):
    """The commands of each round trip that a layer's writer of this loop makes."""

    def watch(layer):
        writer = layer.shards[0].writer()
        made: list[list[str]] = []
        real = writer._link.call

        async def call(commands, **options):
            made.append([str(command[0]) for command in commands])
            return await real(commands, **options)

        monkeypatch.setattr(writer._link, "call", call)
        return made

    return watch


def run(layer, check) -> None:
    """Run ``check`` on an event loop, and let go of that loop's connections."""

    async def main():
        try:
            await asyncio.wait_for(check(), 10)
        finally:
            await layer.close_async()

    asyncio.run(main())


def waiting(client, layer, process) -> dict[bytes, bytes]:
    return client.hgetall(layer.shards[0].keys.waiting(process))


# Together ---------------------------------------------------------------------------------


def test_the_sends_of_one_turn_of_the_loop_are_one_round_trip(make_redis, trips):
    layer = make_redis()

    async def check():
        made = trips(layer)
        await asyncio.gather(*(layer.send_async("a", {"n": n}) for n in range(50)))
        assert made == [["EVALSHA"]]

    run(layer, check)
    assert [layer.receive(["a"])[1]["n"] for _ in range(50)] == list(range(50))


def test_what_comes_during_a_round_trip_is_the_next_one(make_redis, trips):
    layer = make_redis()

    async def check():
        made = trips(layer)
        first = asyncio.ensure_future(layer.send_async("a", {}))
        while not made:  # noqa: ASYNC110 - nothing tells when the writer has begun
            await asyncio.sleep(0)
        others = [asyncio.ensure_future(layer.send_async("a", {})) for _ in range(10)]
        await asyncio.gather(first, *others)
        assert made == [["EVALSHA"], ["EVALSHA"]]

    run(layer, check)


def test_a_caller_s_commands_go_after_its_sends(make_redis, client, trips):
    layer = make_redis()

    async def check():
        made = trips(layer)
        refused = (
            await layer.shards[0]
            .writer()
            .deliver([layer.prepare("a", {})], [("SET", f"{layer.prefix}x", 1)])
        )
        assert (refused, made) == ([], [["EVALSHA", "SET"]])

    run(layer, check)


def test_each_caller_gets_its_own_replies(make_redis):
    layer = make_redis()

    async def check():
        writer = layer.shards[0].writer()
        calls = [writer.call([("ECHO", n), ("ECHO", -n)]) for n in range(1, 20)]
        replies = await asyncio.gather(*calls)
        assert replies == [[b"%d" % n, b"-%d" % n] for n in range(1, 20)]

    run(layer, check)


def test_each_caller_hears_of_its_own_refused_sends(make_redis):
    layer = make_redis(capacity=2)
    sends = [[layer.prepare(name, {"n": n})] for n, name in enumerate("abaaxab")]
    sends[4].append(layer.prepare("r!1", {}))

    async def check():
        refused = await asyncio.gather(*(layer.deliver_async(each) for each in sends))
        assert refused == [[], [], [], sends[3], [], sends[5], []]

    run(layer, check)


def test_one_envelope_may_be_sent_many_times(make_redis):
    layer = make_redis(capacity=2)
    envelope = layer.prepare("a", {"n": 1})

    async def check():
        assert await layer.deliver_async([envelope, envelope, envelope]) == [envelope]
        refused = await asyncio.gather(*(layer.deliver_async([envelope]) for _ in range(2)))
        assert refused == [[envelope], [envelope]]

    run(layer, check)
    assert layer.channel_statistics("a")["messages_pending"] == 2


def test_a_send_to_a_group_reaches_plain_channels_too(make_redis):
    layer = make_redis(capacity=1)
    layer.group_add("chat", "plain")
    layer.group_add("chat", "p!a")

    async def check():
        sends = [layer.prepare("chat", {"n": n}, to_group=True) for n in (1, 2)]
        assert await layer.deliver_async(sends) == []

    run(layer, check)
    assert layer.receive(["plain"]) == ("plain", {"n": 1})
    assert layer.receive(["plain"]) == (None, None)  # its capacity is 1
    assert [layer.receive(["p!"])[1]["n"] for _ in range(2)] == [1, 2]


# When it goes wrong -----------------------------------------------------------------------


def test_an_error_of_one_command_is_heard_by_its_caller_alone(make_redis, client):
    layer = make_redis()
    client.set(layer.shards[0].keys.channel("broken"), "no stream")

    async def check():
        outcomes = await asyncio.gather(
            layer.send_async("a", {}),
            layer.send_async("broken", {}),
            layer.shards[0].writer().call([("NONSENSE",)]),
            layer.send_async("b", {}),
            return_exceptions=True,
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [type(None), LayerUnavailable, LayerUnavailable, type(None)]

    run(layer, check)


def test_everybody_hears_that_redis_is_away_and_the_next_tries_again(own_redis, make_redis):
    own_redis.start()
    layer = make_redis(hosts=[own_redis.url])

    async def check():
        await layer.send_async("a", {})
        own_redis.stop()
        for _ in range(2):
            outcomes = await asyncio.gather(
                *(layer.send_async("a", {}) for _ in range(3)), return_exceptions=True
            )
            assert [type(outcome) for outcome in outcomes] == [LayerUnavailable] * 3
        assert not outcomes[0].in_doubt
        await asyncio.to_thread(own_redis.start)
        await layer.send_async("a", {})

    run(layer, check)


def test_a_caller_that_is_cancelled_takes_nothing_from_the_others(make_redis):
    layer = make_redis()

    async def check():
        writer = layer.shards[0].writer()
        given_up = asyncio.ensure_future(writer.call([("ECHO", "old")]))
        others = [asyncio.ensure_future(writer.call([("ECHO", n)])) for n in range(3)]
        await asyncio.sleep(0)
        given_up.cancel()
        assert await asyncio.gather(*others) == [[b"0"], [b"1"], [b"2"]]
        assert given_up.cancelled()

    run(layer, check)


def test_a_mistake_of_ours_reaches_the_callers_as_an_error(make_redis, monkeypatch, caplog):
    layer = make_redis()

    async def check():
        writer = layer.shards[0].writer()
        monkeypatch.setattr(writer._planner, "steps", lambda envelopes: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await layer.send_async("a", {})
        monkeypatch.undo()
        await layer.send_async("a", {})

    with caplog.at_level(logging.ERROR):
        run(layer, check)
    assert "Error while writing to Redis" in caplog.text


# What has reached the clients -------------------------------------------------------------


def test_what_is_drained_is_reported_with_the_next_write(make_redis, client, trips):
    layer = make_redis()
    layer.deliver([Envelope(f"p!{local}", layer.encode({})) for local in "aaabb"])

    async def check():
        made, writer = trips(layer), layer.shards[0].writer()
        for local in "aaab":
            writer.drained("p!", local, 1)
        await layer.send_async("x", {})
        assert made == [["EVALSHA", "EVALSHA"]]

    run(layer, check)
    assert waiting(client, layer, "p!") == {b"b": b"1"}


def test_a_connection_that_is_forgotten_waits_for_nothing(make_redis, client):
    layer = make_redis()
    layer.deliver([Envelope("p!a", layer.encode({}))] * 3)

    async def check():
        writer = layer.shards[0].writer()
        writer.drained("p!", "a", 1)
        writer.drained("p!", "a", 0)

    run(layer, check)
    assert waiting(client, layer, "p!") == {}


def test_what_could_not_be_reported_is_added_to_the_next_report(own_redis, make_redis):
    own_redis.start()
    layer = make_redis(hosts=[own_redis.url])

    async def check():
        writer = layer.shards[0].writer()
        await layer.send_async("x", {})
        own_redis.stop()
        for local in ("a", "a", "b", "gone"):
            writer.drained("p!", local, 0 if local == "gone" else 1)
        with pytest.raises(LayerUnavailable):
            await layer.send_async("x", {})
        writer.drained("p!", "a", 1)
        with pytest.raises(LayerUnavailable):
            await layer.send_async("x", {})
        await asyncio.to_thread(own_redis.start)
        layer.deliver([Envelope(f"p!{n}", layer.encode({})) for n in ("a",) * 5 + ("b", "gone")])
        await layer.send_async("x", {})
        [left] = await writer.call([("HGETALL", layer.shards[0].keys.waiting("p!"))])
        assert left == [b"a", b"2"]

    run(layer, check)


# The end of a loop ------------------------------------------------------------------------


def test_a_loop_that_ends_takes_its_connection_along(make_redis, client, until):
    """As with ``async_to_sync``: a loop for each call, and nobody closes anything."""
    layer = make_redis()

    async def send(number):
        await layer.send_async("a", {"n": number})

    before = len(client.client_list())
    for number in range(20):
        asyncio.run(send(number))
    until(lambda: len(client.client_list()) <= before)
    gc.collect()
    assert len(layer.shards[0]._writers) <= 1
    assert [layer.receive(["a"])[1]["n"] for _ in range(20)] == list(range(20))


def test_a_writer_that_was_closed_writes_again(make_redis):
    layer = make_redis()

    async def check():
        await layer.send_async("a", {})
        await layer.close_async()
        await layer.send_async("a", {})
        await layer.shards[0].writer().close()
        await layer.send_async("a", {})

    run(layer, check)
    assert layer.channel_statistics("a")["messages_pending"] == 3


def test_a_writer_that_was_closed_reports_again(make_redis, client):
    layer = make_redis()
    layer.deliver([Envelope("p!a", layer.encode({}))] * 2)

    async def check():
        writer = layer.shards[0].writer()
        writer.drained("p!", "a", 1)
        await writer.close()
        writer.drained("p!", "a", 1)
        while waiting(client, layer, "p!"):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.001)

    run(layer, check)


def test_to_close_waits_for_what_is_being_written(make_redis):
    layer = make_redis()

    async def check():
        sends = [asyncio.ensure_future(layer.send_async("a", {})) for _ in range(3)]
        await asyncio.sleep(0)
        await layer.close_async()
        assert await asyncio.gather(*sends) == [None] * 3

    run(layer, check)


def test_loops_of_many_threads_write_side_by_side(make_redis):
    layer = make_redis()

    async def send():
        await asyncio.gather(*(layer.send_async("a", {}) for _ in range(10)))
        await layer.close_async()

    async def check():
        await asyncio.gather(*(asyncio.to_thread(asyncio.run, send()) for _ in range(5)))

    run(layer, check)
    assert layer.channel_statistics("a")["messages_pending"] == 50
