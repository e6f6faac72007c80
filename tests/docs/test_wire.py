"""Workers that are made of docs/wire.rst alone meet the servers of this package.

They use redis-py, msgpack and the code on the page, which is run as it stands there.
"""

from __future__ import annotations

import pytest

from channels_classic.layers.counters import Counter
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Reasons, lane_of
from channels_classic.server import translate
from tests.docs.ours import until
from tests.docs.theirs import fields_in, has_answers, look, take_one

#: One of each kind of value that a message carries.
EVERYTHING = {
    "text": "é€𝄞",
    "bytes": b"\x00\xff",
    "numbers": [0, -1, 2**63 - 1, -(2**63), 1.5],
    "others": [None, True, False],
    "nested": {"a": [{"b": []}], "": {}},
}


# A foreign worker -------------------------------------------------------------------------


def test_a_foreign_worker_answers_a_websocket_and_its_receipt_comes_behind(foreign, ours):
    event = {"type": "websocket.receive", "text": "hello"}
    content = translate.websocket_receive(event, reply_channel="ours!7", path="/", order=3)
    ours.send("websocket.receive", content, lane=lane_of("ours!7", 3))
    channel, entry_id, fields = take_one(foreign, "websocket.receive")
    taken = foreign.decode(fields[b"m"])
    assert taken == content
    assert not foreign.has_expired(entry_id, fields)
    assert foreign.reply(taken["reply_channel"], foreign.encode({"text": "HELLO"}))
    foreign.finish(channel, entry_id, fields)
    assert fields_in(foreign, "ours!") == ["!7", "=7"]
    assert ours.read() == [(("7",), {"text": "HELLO"})]
    assert ours.receipts == [("7", 3, False)]
    assert foreign.bus.xlen(foreign.key("channel", channel)) == 0


def test_a_foreign_worker_says_that_a_message_is_lost(foreign, ours):
    ours.send("websocket.receive", {}, lane=lane_of("ours!7", 3))
    foreign.finish(*take_one(foreign, "websocket.receive"), lost=True)
    assert ours.read() == []
    assert ours.receipts == [("7", 3, True)]


def test_our_server_knows_that_a_foreign_worker_lives(foreign, ours):
    def has_worker():
        return ours.run(ours.layer.has_worker("http.request"))

    assert not has_worker()
    foreign.beat_worker("theirs", ["http.request"])
    assert has_worker()
    foreign.beat_worker("theirs", ["http.request"], ttl=0.01)
    until(lambda: not has_worker())


def test_a_message_that_a_foreign_worker_tries_again_keeps_its_lane(foreign, ours):
    ours.send("work", {"photo": 1}, lane=lane_of("ours!7", 3))
    foreign.try_again(*take_one(foreign, "work"), seconds=0.01)
    until(lambda: ours.beat("work") or foreign.bus.xlen(foreign.key("channel", "work")))
    delivery = ours.take("work")
    assert (delivery.content, delivery.attempts) == ({"photo": 1}, 1)
    assert delivery.lane == lane_of("ours!7", 3)
    assert not foreign.bus.exists(foreign.key("inbox", "ours!"))


def test_a_message_that_a_foreign_worker_gives_back_keeps_its_age(foreign, ours):
    ours.send("work", {"photo": 1}, lane=lane_of("ours!7", 3))
    channel, entry_id, fields = take_one(foreign, "work")
    foreign.give_back("theirs/1", channel, entry_id, fields)
    delivery = ours.take("work")
    assert (delivery.content, delivery.lane) == ({"photo": 1}, lane_of("ours!7", 3))
    assert delivery.token.arrived_ms == int(entry_id.split(b"-")[0])
    assert not foreign.bus.exists(foreign.key("inbox", "ours!"))


def test_what_a_dead_foreign_worker_had_in_hand_is_recovered(foreign, ours):
    ours.send("work", {"photo": 1}, lane=lane_of("ours!7", 3))
    take_one(foreign, "work")
    assert ours.beat("work") == []
    foreign.beat_worker("theirs", ["work"], ttl=0.01)
    [delivery] = until(lambda: ours.beat("work"))
    assert delivery.content == {"photo": 1}
    ours.layer.lose([delivery], Counter.LOST)
    assert ours.read() == []
    assert ours.receipts == [("7", 3, True)]


def test_what_our_dead_worker_had_in_hand_is_recovered_by_a_foreign_one(foreign, ours):
    ours.send("work", {"photo": 1}, lane=lane_of("ours!7", 3))
    ours.beat("work")
    ours.take("work")
    assert look(foreign) == []
    ours.beat("work", ttl=0.01)
    [(channel, entry_id, fields)] = until(lambda: look(foreign))
    assert foreign.decode(fields[b"m"]) == {"photo": 1}
    foreign.finish(channel, entry_id, fields, lost=True)
    assert ours.read() == []
    assert ours.receipts == [("7", 3, True)]


# Later ------------------------------------------------------------------------------------


def test_a_message_that_was_delayed_by_hand_comes(foreign, ours):
    foreign.delay("work", foreign.encode(EVERYTHING), 0.01)
    until(lambda: ours.beat("work") or foreign.bus.xlen(foreign.key("channel", "work")))
    assert ours.layer.receive(["work"]) == ("work", EVERYTHING)


def test_an_answer_that_was_delayed_by_hand_comes(foreign, ours):
    foreign.delay_reply("ours!7", foreign.encode({"text": "late"}), 0.01)
    until(lambda: ours.run(ours.inbox.beat(ttl=10)) or has_answers(foreign, "ours!"))
    assert ours.read() == [(("7",), {"text": "late"})]


def test_a_foreign_worker_moves_what_we_have_delayed(foreign, ours):
    ours.send("work", EVERYTHING, lane=lane_of("ours!7", 3), delay=0.01)
    until(lambda: foreign.move_due("work") == -1)
    _, _, fields = take_one(foreign, "work")
    assert foreign.decode(fields[b"m"]) == EVERYTHING
    assert fields[b"r"] == b"ours!7 3"


def test_a_foreign_server_moves_the_answers_that_we_have_delayed(foreign, ours):
    ours.send("theirs!1", {"text": "late"}, delay=0.01)
    until(lambda: foreign.beat_server("theirs!") and has_answers(foreign, "theirs!"))
    assert foreign.Inbox("theirs!").read() == [("message", "1", {"text": "late"})]


# Dead letters and counters ----------------------------------------------------------------


def test_our_dead_letters_are_read_by_hand(foreign, ours):
    ours.send("work", {"photo": 1})
    ours.layer.bury(ours.take("work"), Reasons("KeyError: 'x'", "Traceback …", "our-worker"))
    [(_, letter)] = foreign.bus.xrange(f"{foreign.PREFIX}dead")
    assert foreign.decode(letter.pop(b"m")) == {"photo": 1}
    assert {name.decode(): value.decode() for name, value in letter.items()} == {
        "channel": "work",
        "attempts": "1",
        "error": "KeyError: 'x'",
        "traceback": "Traceback …",
        "worker": "our-worker",
    }
    stats = foreign.bus.hgetall(foreign.key("stats", "work"))
    assert stats == {b"messages_count": b"1", b"dead_count": b"1"}


def test_a_letter_of_a_foreign_worker_is_put_back(foreign, ours):
    ours.send("work", {"photo": 1}, lane=lane_of("ours!7", 3))
    foreign.bury(*take_one(foreign, "work"), error="no photo", worker="theirs")
    [letter] = ours.layer.dead_letters("work")
    assert (letter.content, letter.attempts) == ({"photo": 1}, 1)
    assert (letter.error, letter.worker) == ("no photo", "theirs")
    assert ours.layer.requeue_dead([letter]) == 1
    assert ours.layer.receive(["work"]) == ("work", {"photo": 1})
    assert ours.read() == []
    assert ours.receipts == [("7", 3, False)]


# Content ----------------------------------------------------------------------------------


def test_content_is_the_same_on_both_sides(foreign, ours):
    assert foreign.send("work", foreign.encode(EVERYTHING))
    assert ours.take("work").content == EVERYTHING
    ours.send("other", EVERYTHING)
    assert foreign.decode(take_one(foreign, "other")[2][b"m"]) == EVERYTHING


@pytest.mark.parametrize("key", ["new", "old"])
def test_encrypted_content_is_the_same_on_both_sides(foreign, redis_server, key):
    layer = RedisChannelLayer(
        hosts=[redis_server.url],
        prefix=foreign.PREFIX,
        symmetric_encryption_keys=["new", "old"],
    )
    assert foreign.send("work", foreign.encrypt(EVERYTHING, key))
    assert layer.receive(["work"]) == ("work", EVERYTHING)
    layer.send("work", EVERYTHING)
    assert foreign.decrypt(take_one(foreign, "work")[2][b"m"], "new") == EVERYTHING
    layer.close()
