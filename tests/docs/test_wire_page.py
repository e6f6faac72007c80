"""docs/wire.rst names all that the code puts on Redis, nothing else, and its examples run."""

from __future__ import annotations

import inspect
import re
import string
from pathlib import Path

import msgpack
import pytest

from channels_classic import beat, policy
from channels_classic.layers import ends
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.codec import Codec
from channels_classic.layers.counters import Counter
from channels_classic.layers.names import non_local_name, random_letters
from channels_classic.layers.on_redis import attachments, fanout, plan, recover, wire
from channels_classic.layers.on_redis.cluster import tags
from channels_classic.layers.on_redis.ring import owner
from channels_classic.layers.on_redis.wire import CLOSED, WORKERS, Keys
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.server import replies, translate
from tests.docs import page

LUA = Path(wire.__file__).parent / "lua"
PLACEHOLDER = re.compile(r"<\w+>")


def keys_of_the_code() -> set[str]:
    """Every name that ``Keys`` makes, with <> for what depends on a name."""
    keys, found = Keys(""), set()
    for name, value in inspect.getmembers(keys):
        if name.startswith("_") or name.endswith("prefix"):
            continue
        made = (
            value(*("<>" for _ in inspect.signature(value).parameters))
            if callable(value)
            else value
        )
        if isinstance(made, str):
            found.add(made)
    return found


def test_the_page_renders_without_a_warning():
    assert page.parsed().next_node().astext() == "The wire format on Redis"


# Tables -----------------------------------------------------------------------------------


def test_the_page_and_the_code_name_the_same_keys():
    named = [PLACEHOLDER.sub("<>", name) for name in page.names("Keys")]
    assert sorted(named) == sorted(keys_of_the_code())


def test_the_page_knows_every_counter():
    assert sorted(page.names("Counters")) == sorted(map(str, Counter))


def test_the_page_says_what_each_script_is_for():
    assert sorted(page.names("Scripts")) == sorted(path.stem for path in LUA.glob("*.lua"))
    assert all(row[1].astext() and row[2].astext() for row in page.rows("Scripts"))


def test_each_script_is_one_that_the_layer_uses():
    used = {script.text for script in wire.SCRIPTS}
    assert used == {path.read_text("utf-8") for path in LUA.glob("*.lua")}


def test_the_page_knows_the_fields_of_a_channels_entry():
    known = (plan.PAYLOAD, plan.LANE, plan.ATTEMPTS, plan.CRASHES, plan.FIRST)
    assert page.names("Fields") == [field.decode() for field in known]


def test_a_server_reads_the_marks_on_the_page_and_no_others():
    marks = {name[0] for name in page.names("Marks")}
    inbox = fanout.Fanout(Codec(max_size=1000))
    read = set()
    for mark in string.punctuation:
        value = {"!": msgpack.packb({}), "=": b"1"}.get(mark, b"chat")
        list(inbox.arrivals([f"{mark}name".encode(), value]))
        if not inbox.unreadable:
            read.add(mark)
        inbox.unreadable.clear()
    assert read == marks


def test_the_page_knows_the_fields_of_a_dead_letter():
    legend = next(line for line in wire.BURY.text.splitlines() if "dead letters" in line)
    named = legend.partition(": ")[2].split(", ")
    assert page.names("Letters") == named


def test_the_options_have_the_defaults_on_the_page():
    redis_options = inspect.signature(RedisChannelLayer).parameters
    options = {**inspect.signature(BaseChannelLayer).parameters, **redis_options}
    defaults = {name: str(options[name].default) for name in page.names("Options")}
    assert {row[0].astext(): row[1].astext() for row in page.rows("Options")} == defaults


def test_the_times_are_those_on_the_page():
    times = {
        "a worker beats every": beat.INTERVAL,
        "a worker is believed to live for": beat.TTL,
        "a server beats every": replies.BEAT,
        "a server is believed to live for": replies.TTL,
        "a dead server is left to its finder for": recover.LEASE_TIME,
        "a dead server cannot join groups for": recover._GONE,
        "what is attached in a process outlives it for": attachments.STAYS,
        "a closed connection counts as full for": ends.GONE,
        "keys outlive the expiry by": plan.GRACE,
    }
    assert {row[0].astext(): float(row[1].astext()) for row in page.rows("Times")} == times


def test_numbers_in_the_text_are_those_of_the_code():
    text = page.parsed().astext()
    assert WORKERS == "workers"
    assert CLOSED == 2**40
    assert "2147483647" in text
    assert policy.MOST_CRASHES == 3
    assert beat.LATE == 3
    assert recover.LEASE_TIME == 15


def test_the_messages_have_the_keys_on_the_page():
    scope = {"method": "GET", "path": "/", "headers": [], "client": None}
    to = {"reply_channel": "p!a", "path": "/", "request_id": "p-a"}
    receive = [
        translate.websocket_receive({key: "x"}, order=1, **to).keys() for key in ("text", "bytes")
    ]
    messages = {
        "http.request": translate.http_request(
            scope, reply_channel="p!a", root_path="", body_channel="b?x", request_id="p-a"
        ).keys(),
        "http.disconnect": translate.http_disconnect(
            scope, reply_channel="p!a", request_id="p-a"
        ).keys(),
        "websocket.connect": translate.websocket_connect(
            scope, reply_channel="p!a", root_path="", request_id="p-a"
        ).keys(),
        "websocket.receive": receive[0] | receive[1],
        "websocket.disconnect": translate.websocket_disconnect(1000, order=2, **to).keys(),
    }
    table = {row[0].astext(): set(page.literals(row[1])) for row in page.rows("Messages")}
    assert {name: table[name] for name in messages} == messages
    assert table["an answer to HTTP"] | {"status_text"} == translate._RESPONSE_KEYS
    assert table["an answer to a WebSocket"] == translate._SOCKET_KEYS


# Shards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [1, 7, 100])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_shards_share_a_capacity_as_the_page_says(count, capacity):
    layer = BaseChannelLayer(capacity=capacity)
    planners = [
        plan.Planner(Keys(""), layer, inbox_limit=1, number=number, shards=count)
        for number in range(count)
    ]
    share = page.code().share
    ours = [planner.limits("work")[0] for planner in planners]
    assert [share(capacity, number, count) for number in range(count)] == ours


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_names_go_to_the_shards_that_the_page_says(count):
    found = [f"{random_letters(8)}{end}" for end in ("", "!", "!7f", "?aB") for _ in range(50)]
    shard_of = page.code().shard_of
    assert [shard_of(name, count) for name in found] == [owner(name, count) for name in found]
    assert all(shard_of(name, count) == shard_of(non_local_name(name), count) for name in found)


def test_the_shards_of_a_cluster_have_the_tags_on_the_page():
    table = {int(row[0].astext()): page.literals(row[1]) for row in page.rows("Tags")}
    assert table == {count: tags(count) for count in table}
    assert table


# Examples ---------------------------------------------------------------------------------


def test_what_is_typed_by_hand_gets_the_answers_on_the_page(own_redis):
    own_redis.start()
    terminal = page.Terminal(own_redis.folder / "redis.sock")
    sessions = page.sessions()
    for command, answer in (pair for session in sessions for pair in session):
        terminal.check(command, answer)
    assert len(sessions) >= 5


def test_a_message_that_was_typed_by_hand_is_received(own_redis):
    own_redis.start()
    terminal = page.Terminal(own_redis.folder / "redis.sock")
    for command, answer in page.sessions()[0]:
        terminal.check(command, answer)
    layer = RedisChannelLayer(hosts=[own_redis.url])
    assert layer.receive(["thumbnailer"]) == ("thumbnailer", {"photo": 1})
    layer.close()
