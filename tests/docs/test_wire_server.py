"""Servers that are made of docs/wire.rst alone meet the workers of this package.

They use redis-py, msgpack and the code on the page, which is run as it stands there.
"""

from __future__ import annotations

from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Envelope
from tests.docs.ours import until
from tests.docs.theirs import fields_in

# A foreign server -------------------------------------------------------------------------


def test_a_foreign_server_is_answered_and_gets_its_receipt_behind_the_answer(foreign, ours):
    request = {"reply_channel": "theirs!1", "method": "GET", "path": "/"}
    assert foreign.send("http.request", foreign.encode(request), lane="theirs!1 12")
    receiver = ours.layer.receiver(["http.request"], worker="our-worker")
    [delivery] = receiver.exchange(done=[], sends=[], limit=1, timeout=1).deliveries
    assert delivery.content == request
    answer = {"status": 200, "headers": [[b"x-a", b"1"]], "content": b"Hello"}
    sends = [ours.layer.prepare("theirs!1", answer)]
    assert receiver.settle([delivery], sends) == []
    receiver.close()
    inbox = foreign.Inbox("theirs!")
    assert inbox.read() == [("message", "1", answer), ("done", "1", 12)]
    assert inbox.read(wait=1) == []


def test_two_answers_in_one_entry_both_reach_a_foreign_server(foreign, ours):
    sends = [ours.layer.prepare("theirs!1", {"text": text}) for text in ("one", "two")]
    ours.layer.deliver(sends)
    assert fields_in(foreign, "theirs!") == ["!1", "!1"]
    found = foreign.Inbox("theirs!").read()
    assert [content["text"] for _, _, content in found] == ["one", "two"]


def test_a_foreign_server_trims_its_inbox_and_reports_what_it_drained(foreign, ours):
    ours.send("theirs!1", {})
    inbox = foreign.Inbox("theirs!")
    assert len(inbox.read()) == 1
    assert inbox.read(wait=1) == []
    assert foreign.bus.xlen(foreign.key("inbox", "theirs!")) == 0
    assert foreign.bus.hgetall(foreign.key("waiting", "theirs!")) == {b"1": b"1"}
    foreign.drained("theirs!1")
    assert not foreign.bus.exists(foreign.key("waiting", "theirs!"))


def test_what_an_expired_message_of_a_foreign_server_left_behind(foreign, redis_server, ours):
    """Nobody took it in time: the lane of its connection goes on."""
    assert foreign.send("work", foreign.encode({}), lane="theirs!1 12")
    [(entry_id, _)] = foreign.bus.xrange(foreign.key("channel", "work"))
    until(lambda: foreign.now() > int(entry_id.split(b"-")[0]) + 1)
    brief = RedisChannelLayer(hosts=[redis_server.url], prefix=ours.layer.prefix, expiry=0.001)
    receiver = brief.receiver(["work"], worker="our-worker")
    assert receiver.exchange(done=[], sends=[], limit=1, timeout=0).deliveries == []
    receiver.close()
    brief.close()
    assert foreign.Inbox("theirs!").read() == [("lost", "1", 12)]


def test_a_foreign_server_sees_our_workers(foreign, ours):
    assert not foreign.has_worker("http.request")
    ours.beat("http.request")
    assert foreign.has_worker("http.request")
    ours.beat("http.request", ttl=0.01)
    until(lambda: not foreign.has_worker("http.request"))


def test_a_foreign_server_learns_that_redis_forgot_it(foreign):
    assert not foreign.beat_server("theirs!")
    assert foreign.beat_server("theirs!")
    foreign.bus.zrem(f"{foreign.PREFIX}servers", "theirs!")
    assert not foreign.beat_server("theirs!")


def test_the_will_of_a_dead_foreign_server_is_done_and_nothing_of_it_stays(foreign, ours):
    foreign.beat_server("theirs!")
    foreign.join("chat", "theirs!1")
    last = {"reply_channel": "theirs!1", "path": "/", "order": 2**31 - 1, "code": 1006}
    foreign.leave_will("theirs!1", "websocket.disconnect", foreign.encode(last))
    ours.beat("websocket.disconnect")
    assert ours.layer.receive(["websocket.disconnect"]) == (None, None)
    foreign.beat_server("theirs!", ttl=0.01)
    servers = f"{foreign.PREFIX}servers"
    until(lambda: ours.beat("websocket.disconnect") or not foreign.bus.zcard(servers))
    assert ours.layer.receive(["websocket.disconnect"]) == ("websocket.disconnect", last)
    left = [name for name in foreign.bus.scan_iter(f"{foreign.PREFIX}*") if b"{theirs!}" in name]
    assert left == [foreign.key("gone", "theirs!").encode()]
    assert ours.layer.group_channels("chat") == []
    assert not foreign.join("chat", "theirs!1")


def test_a_foreign_worker_does_the_will_of_our_dead_server(foreign, ours):
    last = {"reply_channel": "ours!7", "code": 1006}
    ours.layer.group_add("chat", "ours!7")
    ours.tell(ours.inbox.leave_will, "7", ours.layer.prepare("websocket.disconnect", last))
    ours.run(ours.inbox.beat(ttl=10))
    foreign.see_to_dead_servers("theirs", "websocket.disconnect")
    assert ours.layer.receive(["websocket.disconnect"]) == (None, None)
    ours.run(ours.inbox.beat(ttl=0.01))
    servers = f"{foreign.PREFIX}servers"

    def is_done():
        foreign.see_to_dead_servers("theirs", "websocket.disconnect")
        return not foreign.bus.zcard(servers)

    until(is_done)
    assert ours.layer.receive(["websocket.disconnect"]) == ("websocket.disconnect", last)
    assert ours.layer.receive(["websocket.disconnect"]) == (None, None)
    assert ours.layer.group_channels("chat") == []


def test_a_foreign_server_that_stops_leaves_nothing(foreign, ours):
    foreign.beat_server("theirs!")
    foreign.join("chat", "theirs!1")
    foreign.leave_will("theirs!1", "websocket.disconnect", b"")
    ours.send("theirs!1", {})
    foreign.forget("theirs!1", ["chat"])
    assert not foreign.bus.exists(foreign.key("wills", "theirs!"))
    foreign.leave_bus("theirs!")
    assert list(foreign.bus.scan_iter(f"{foreign.PREFIX}*")) == []


# Full channels ----------------------------------------------------------------------------


def test_both_sides_hold_the_same_channel_for_full(foreign, ours):
    foreign.CAPACITY = 2
    assert foreign.send("work", foreign.encode({}))
    assert foreign.send("work", foreign.encode({}))
    assert not foreign.send("work", foreign.encode({}))
    ours.take("work")
    assert foreign.send("work", foreign.encode({}))


def test_both_sides_hold_the_same_connection_for_full(foreign, ours):
    foreign.CAPACITY = 2
    ours.send("ours!7", {})
    assert foreign.reply("ours!7", foreign.encode({}))
    assert not foreign.reply("ours!7", foreign.encode({}))
    assert len(ours.read()) == 2
    ours.tell(ours.inbox.drained, "7")
    assert foreign.reply("ours!7", foreign.encode({}))


def test_a_closed_connection_of_a_foreign_server_is_gone(foreign, ours):
    ours.send("theirs!1", {})
    assert not ours.layer.is_gone("theirs!1")
    foreign.drained("theirs!1", -(2**40))
    assert ours.layer.is_gone("theirs!1")
    refused = ours.layer.deliver([Envelope("theirs!1", b"")])
    assert [envelope.name for envelope in refused] == ["theirs!1"]
    foreign.drained("theirs!1", 0)
    assert not ours.layer.is_gone("theirs!1")


# Groups -----------------------------------------------------------------------------------


def test_who_joined_by_a_foreign_hand_gets_what_we_send_to_the_group(foreign, ours):
    assert foreign.join("chat", "ours!7")
    assert ours.layer.group_channels("chat") == ["ours!7"]
    ours.layer.send_group("chat", {"text": "one"})
    foreign.leave("chat", "ours!7")
    ours.layer.send_group("chat", {"text": "two"})
    assert ours.read() == [(("7",), {"text": "one"})]
    assert ours.layer.group_count("chat") == 0


def test_a_foreign_server_hands_our_messages_to_the_members_of_then(foreign, ours):
    ours.layer.send_group("chat", {"text": "nobody"})
    ours.layer.group_add("chat", "theirs!1")
    ours.layer.send_group("chat", {"text": "one"})
    ours.layer.group_add("chat", "theirs!2")
    ours.layer.send_group("chat", {"text": "both"})
    ours.layer.group_discard("chat", "theirs!1")
    ours.layer.send_group("chat", {"text": "two"})
    found = [(local, content["text"]) for _, local, content in foreign.Inbox("theirs!").read()]
    assert found == [("1", "one"), ("1", "both"), ("2", "both"), ("2", "two")]


def test_a_foreign_send_to_a_group_reaches_connections_and_plain_channels(foreign, ours):
    ours.layer.group_add("chat", "ours!7")
    ours.layer.group_add("chat", "ours!8")
    ours.layer.group_add("chat", "log")
    foreign.bus.zadd(foreign.key("group", "chat"), {"old": foreign.now()})
    foreign.send_group("chat", foreign.encode({"text": "all"}))
    assert ours.read() == [(("7", "8"), {"text": "all"})]
    assert ours.layer.receive(["log"]) == ("log", {"text": "all"})
    assert ours.layer.receive(["old"]) == (None, None)
    assert foreign.bus.xlen(foreign.key("inbox", "ours!")) == 3


def test_a_foreign_server_leaves_a_group_without_members(foreign, ours):
    foreign.join("chat", "theirs!1")
    before = foreign.bus.zscore(foreign.key("group", "chat"), "theirs!")
    foreign.retire("chat", "theirs!")
    assert ours.layer.group_channels("chat") == ["theirs!1"]
    foreign.forget("theirs!1", ["chat"])
    foreign.run("retire", [foreign.key("group", "chat")], "theirs!", f"{before - 1:.0f}")
    assert foreign.bus.exists(foreign.key("group", "chat"))
    foreign.retire("chat", "theirs!")
    assert not foreign.bus.exists(foreign.key("group", "chat"))
    assert not foreign.bus.exists(foreign.key("joined", "theirs!"))
