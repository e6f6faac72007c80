"""Any entry that a worker or a server may find on the bus: a message, or passed over."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from channels_classic.layers.codec import Codec
from channels_classic.layers.on_redis.entries import as_sent, read_entry, receipts
from channels_classic.layers.on_redis.fanout import Fanout
from channels_classic.layers.on_redis.plan import ATTEMPTS, CRASHES, FIRST, LANE, PAYLOAD

CODEC = Codec(max_size=100_000)
SHARD = SimpleNamespace(codec=CODEC)
any_case = settings(max_examples=200)

anything = st.binary(max_size=40)
messages = st.dictionaries(st.text(max_size=5), st.integers(0, 9) | st.text(max_size=9)).map(
    CODEC.encode
)
numbers = st.integers(-5, 10**25).map(lambda number: b"%d" % number)
ids = st.tuples(st.integers(0, 2**63), st.integers(0, 99)).map(lambda parts: b"%d-%d" % parts)


def flat(pairs) -> list[bytes]:
    return [part for pair in pairs for part in pair]


known = st.sampled_from([PAYLOAD, LANE, ATTEMPTS, CRASHES, FIRST]).map(
    lambda name: name if isinstance(name, bytes) else name.encode()
)
entries = st.lists(
    st.tuples(known | anything, messages | numbers | anything), max_size=6, unique_by=lambda p: p[0]
).map(flat)


@any_case
@given(ids, entries)
def test_an_entry_of_a_channel_is_a_message_or_has_a_problem(entry_id, fields):
    delivery = read_entry(SHARD, "work", entry_id, fields, consumer="worker/1")
    assert isinstance(delivery.content, dict)
    assert delivery.token.problem or delivery.content == CODEC.decode(delivery.payload)
    assert 0 <= delivery.attempts < 10**20
    assert 0 <= delivery.crashes < 10**20
    assert delivery.token.arrived_ms >= 0
    receipts([delivery], lost=True)
    assert as_sent(delivery).name == "work"


names = st.sampled_from([b"a", b"b", b"group", b"\xff", b""]) | anything
marks = st.sampled_from([b"!", b"*", b"+", b"-", b"~", b"=", b"?", b""])
fields = st.tuples(marks, names).map(b"".join)
values = messages | names | st.sampled_from([b"1", b"1 lost", b"x"])


@any_case
@given(st.lists(st.lists(st.tuples(fields, values), max_size=6).map(flat), max_size=4))
def test_an_entry_of_an_inbox_is_messages_or_is_passed_over(inbox):
    heard = []
    fanout = Fanout(CODEC, lambda *receipt: heard.append(receipt))
    for entry in inbox:
        for arrival in fanout.arrivals(entry):
            assert isinstance(arrival.content, dict)
            assert arrival.locals
            assert all(isinstance(local, str) for local in arrival.locals)
    for local, problem in fanout.unreadable:
        assert isinstance(local, str)
        assert problem
    for local in fanout.take_joined():
        fanout.forget(local)
    assert fanout.groups == {}
    fanout.take_emptied(100)
    assert all(isinstance(number, int) for _, number, _ in heard)
