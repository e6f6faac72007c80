"""The ledger: what processes report, what the census finds, claims and the shared history."""

from __future__ import annotations

import asyncio
import time

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.ledger import MOST_GROUPS, Census, Delayed
from channels_classic.layers.on_redis import ledger as ledger_module
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Reasons

KEYS = ("reports", "reporting", "history")


@pytest.fixture(autouse=True)
def _fresh_surveys(monkeypatch):
    monkeypatch.setattr(ledger_module, "SURVEY_LASTS", 0)


@pytest.fixture
def layer(spread_layer):
    return spread_layer


# Reports ----------------------------------------------------------------------------------


def test_what_processes_report_is_in_the_census(layer):
    layer.ledger.report("worker-1", {"kind": "worker", "pid": 7}, ttl=60)
    layer.ledger.report("server.reply.a!", {"kind": "server", "pid": 8}, ttl=60)
    layer.ledger.report("worker-1", {"kind": "worker", "pid": 9}, ttl=60)
    assert layer.ledger.census().reports == {
        "worker-1": {"kind": "worker", "pid": 9},
        "server.reply.a!": {"kind": "server", "pid": 8},
    }


def test_a_report_ends_after_its_time(layer, until):
    layer.ledger.report("short", {}, ttl=0.05)
    layer.ledger.report("long", {}, ttl=60)
    until(lambda: list(layer.ledger.census().reports) == ["long"])


def test_a_process_that_leaves_ends_its_report(layer):
    layer.ledger.report("worker-1", {}, ttl=60)
    layer.ledger.report("worker-1", {}, ttl=0)
    assert layer.ledger.census().reports == {}


def test_what_has_ended_takes_no_room(make_redis, client, until):
    layer = make_redis()
    layer.ledger.report("old", {}, ttl=0.001)

    def is_gone():
        layer.ledger.report("new", {}, ttl=60)
        return client.hkeys(f"{layer.prefix}reports") == [b"new"]

    until(is_gone)
    assert client.zrange(f"{layer.prefix}reporting", 0, -1) == [b"new"]


# The census -------------------------------------------------------------------------------


def test_nothing_is_known_of_an_empty_bus(layer):
    assert layer.ledger.census() == Census({}, {}, 0, 0)


def test_a_channel_is_known_once_something_was_sent(layer):
    for number in range(3):
        layer.send("work", {"number": number})
    layer.deliver([layer.prepare("work", {}, delay=60)])
    layer.count("work", Counter.FAILED, 2)
    [(name, facts)] = layer.ledger.census().channels.items()
    assert (name, facts.load.waiting, facts.delayed) == ("work", 3, 1)
    assert 58 < facts.next_due <= 60
    wanted = {**dict.fromkeys(map(str, Counter), 0), "messages_count": 4, "failed_count": 2}
    assert facts.counts == wanted


def test_a_channel_that_is_asked_for_or_read_is_there(layer):
    layer.beat("w", ["read"], ttl=60, recover=False)
    layer.ledger.report("w", {"channels": ["read", 7, "not!plain"]}, ttl=60)
    found = layer.ledger.census(["asked"]).channels
    assert list(found) == ["asked", "read"]
    assert [each.load.workers for each in found.values()] == [0, 1]
    assert [each.next_due for each in found.values()] == [None, None]


def test_a_census_without_others_looks_at_no_names_and_no_reports(layer):
    layer.send("work", {})
    layer.send("play", {})
    layer.ledger.report("w", {"channels": ["read"]}, ttl=60)
    census = layer.ledger.census(["work"], others=False)
    assert (list(census.channels), census.reports) == (["work"], {})
    assert census.channels["work"].load.waiting == 1


def test_processes_and_single_readers_are_no_channels(layer):
    layer.send("process.a!1", {})
    layer.send(layer.new_channel("single?"), {})
    assert layer.ledger.census().channels == {}


def test_dead_letters_and_groups_are_numbered(layer):
    layer.send("work", {})
    receiver = layer.receiver(["work"], worker="w")
    layer.bury(take_one(receiver), Reasons("no"))
    receiver.close()
    for group in ("one", "two"):
        layer.group_add(group, "work")
    census = layer.ledger.census()
    assert (census.dead, census.groups) == (1, 2)


def test_the_keys_are_looked_at_now_and_then_only(make_redis, monkeypatch):
    monkeypatch.setattr(ledger_module, "SURVEY_LASTS", 60)
    layer = make_redis()
    assert layer.ledger.census().channels == {}
    layer.send("work", {})
    assert layer.ledger.census().channels == {}
    assert list(layer.ledger.census(["work"]).channels) == ["work"]


# Delayed messages -------------------------------------------------------------------------


def test_delayed_messages_are_shown_in_their_order(layer):
    delays = [50, 30, 40]
    layer.deliver([layer.prepare("work", {"delay": delay}, delay=delay) for delay in delays])
    first, second = layer.ledger.delayed("work", 2)
    assert (first.channel, first.content, second.content) == ("work", {"delay": 30}, {"delay": 40})
    assert 28 < first.due_in <= 30
    assert layer.ledger.delayed("play") == []


def test_delayed_messages_that_cannot_be_read_are_shown_without(make_redis, client):
    layer = make_redis()
    client.zadd(f"{layer.prefix}later:{{work}}", {b"foreign": 0})
    assert layer.ledger.delayed("work") == [Delayed("work", 0.0, None)]


# Claims and the history -------------------------------------------------------------------


def test_a_thing_is_claimed_once_in_its_time(layer, until):
    assert layer.ledger.claim("sample", 60)
    assert not layer.ledger.claim("sample", 60)
    assert layer.ledger.claim("other", 0.01)
    until(lambda: layer.ledger.claim("other", 0.01))


def test_old_claims_take_no_room(memory_layer, clock):
    for number in range(10):
        clock.now += 2
        assert memory_layer.ledger.claim(f"term.{number}", 3)
    assert len(memory_layer.ledger._claims) == 2


def test_the_history_keeps_the_last(layer):
    began = time.time()
    assert layer.ledger.recorded(10) == []
    for number in range(5):
        layer.ledger.record({"number": number}, limit=3)
    found = layer.ledger.recorded(10)
    assert [content["number"] for _, content in found] == [2, 3, 4]
    assert all(began - 1 < when < time.time() + 1 for when, _ in found)
    assert [content["number"] for _, content in layer.ledger.recorded(2)] == [3, 4]


def test_a_flush_empties_the_ledger(layer):
    layer.ledger.report("w", {}, ttl=60)
    layer.ledger.record({}, limit=3)
    layer.ledger.claim("sample", 60)
    layer.flush()
    assert layer.ledger.census().reports == {}
    assert layer.ledger.recorded(3) == []
    assert layer.ledger.claim("sample", 60)


# The inbox of a server --------------------------------------------------------------------


def test_a_server_reports_its_groups_and_then_leaves(layer):
    reported, left = asyncio.run(asyncio.wait_for(_served(layer), 60))
    assert (reported["pid"], reported["groups"]) == (7, MOST_GROUPS + 5)
    assert len(reported["largest"]) == MOST_GROUPS
    assert reported["largest"][f"g{MOST_GROUPS + 4}"] == MOST_GROUPS + 5
    assert left == {}


async def _served(layer):
    """What a server with many groups reports, and what is left of it after its end."""
    inbox = layer.inbox("server.a!")
    await inbox.beat(ttl=60)
    for number in range(MOST_GROUPS + 5):
        for member in range(number + 1):
            await asyncio.to_thread(layer.group_add, f"g{number}", f"server.a!{member}")
    reading = asyncio.create_task(_read(inbox))
    reported = {}
    while reported.get("groups") != MOST_GROUPS + 5 or len(reported["largest"]) < MOST_GROUPS:
        inbox.report({"pid": 7}, ttl=60)
        await asyncio.sleep(0.01)
        reported = (await asyncio.to_thread(layer.ledger.census)).reports.get("server.a!", {})
    reading.cancel()
    await asyncio.wait([reading])
    await inbox.close()
    left = (await asyncio.to_thread(layer.ledger.census)).reports
    await layer.close_async()
    return reported, left


async def _read(inbox):
    while True:
        await inbox.read()


# Dead letters -----------------------------------------------------------------------------


def bury(layer, number):
    """Dead letters that died one after the other, wherever they are."""
    receiver = layer.receiver(["work"], worker="w")
    for each in range(number):
        layer.send("work", {"number": each})
        layer.bury(take_one(receiver), Reasons(f"error {each}"))
        time.sleep(0.002)  # the time in an id is in ms
    receiver.close()


def take_one(receiver):
    taken = []
    while not taken:
        taken = receiver.exchange(done=[], sends=[], limit=1, timeout=1).deliveries
    return taken[0]


def test_the_newest_dead_letters_come_first_and_are_bounded(layer):
    bury(layer, 7)
    assert [each.content["number"] for each in layer.ledger.newest_dead(3)] == [6, 5, 4]
    assert len(layer.ledger.newest_dead(100)) == 7


def test_a_dead_letter_is_found_by_its_id(layer):
    bury(layer, 3)
    for letter in layer.dead_letters():
        assert layer.ledger.dead_letter(letter.id) == letter
    layer.delete_dead([letter])
    assert layer.ledger.dead_letter(letter.id) is None


@pytest.mark.parametrize("id_", ["", "7", "0-", "0-1", "99-1-1", "0-1-1", "-1-1-1", "0-+-+", "x"])
def test_whatever_is_asked_for_finds_no_letter(layer, id_):
    bury(layer, 1)
    found = layer.ledger.dead_letter(id_)
    assert found is None


# Layers and servers that cannot tell ------------------------------------------------------


def test_a_layer_of_the_classic_verbs_alone_tells_nothing():
    ledger = BaseChannelLayer().ledger
    ledger.report("w", {}, ttl=60)
    ledger.record({}, limit=1)
    assert ledger.census(["work"]) == Census({}, {}, 0, 0)
    assert (ledger.delayed("work"), ledger.claim("x", 1), ledger.recorded(1)) == ([], False, [])
    assert (ledger.newest_dead(5), ledger.dead_letter("1")) == ([], None)


def test_keys_that_hold_something_else_tell_nothing(make_redis, client):
    layer = make_redis()
    for key in KEYS:
        client.set(f"{layer.prefix}{key}", "foreign")
    for kind in ("channel", "stats", "workers", "later"):
        client.set(f"{layer.prefix}{kind}:{{work}}", "foreign")
    facts = layer.ledger.census(["work"]).channels["work"]
    assert (sum(facts.load), sum(facts.counts.values()), facts.delayed) == (0, 0, 0)
    assert (layer.ledger.delayed("work"), layer.ledger.recorded(3)) == ([], [])


def test_reports_and_records_that_cannot_be_read_are_passed_over(make_redis, client):
    layer = make_redis()
    layer.ledger.report("good", {"pid": 7}, ttl=60)
    client.hset(f"{layer.prefix}reports", "bad", b"\xc1")
    client.zadd(f"{layer.prefix}reporting", {"bad": 2**52})
    client.xadd(f"{layer.prefix}history", {"m": b"\xc1"})
    layer.ledger.record({"number": 1}, limit=5)
    assert layer.ledger.census().reports == {"good": {"pid": 7}}
    assert [content for _, content in layer.ledger.recorded(5)] == [{"number": 1}]


def test_a_redis_that_is_away_is_said():
    ledger = RedisChannelLayer(hosts=["redis://127.0.0.1:1"]).ledger
    for call in (
        ledger.census,
        lambda: ledger.report("w", {}, ttl=1),
        lambda: ledger.claim("x", 1),
    ):
        with pytest.raises(LayerUnavailable):
            call()


def test_one_shard_that_is_away_is_passed_over(make_redis, redis_server):
    layer = make_redis(hosts=[redis_server.url, "redis://127.0.0.1:1"])
    ledger = layer.ledger
    assert ledger.census(["work"]).channels["work"].load.waiting == 0  # and the shard is known
    names = sorted(f"{letter}-{number}" for number, letter in enumerate("abcdefgh"))
    assert len({layer.shard_of(name) for name in names}) == 2
    for name in names:
        ledger.report(name, {}, ttl=60)
        assert ledger.claim(name, 60)
        ledger.record({"name": name}, limit=8)
    assert sorted(ledger.census().reports) == names
    assert not any(ledger.claim(name, 60) for name in names)
    assert [content["name"] for _, content in ledger.recorded(8)] == names
    assert ledger.newest_dead(5) == []
