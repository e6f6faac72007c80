"""Message: what consumers receive."""

from __future__ import annotations

import pytest

from channels_classic import outbox
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.channel import Channel
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message, pending_message_store


@pytest.fixture
def wrapper():
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])


@pytest.fixture
def message(wrapper):
    return Message({"a": 1, "b": {"c": [2]}, "reply_channel": "answers?1"}, "work", wrapper)


def test_a_message_keeps_what_it_is_made_of(message, wrapper):
    assert message.content == {"a": 1, "b": {"c": [2]}, "reply_channel": "answers?1"}
    assert (message.channel_name, message.channel_layer) == ("work", wrapper)


def test_a_message_knows_the_channel_it_came_on(message, wrapper):
    assert (message.channel.name, message.channel.channel_layer) == ("work", wrapper)


def test_a_message_knows_the_channel_of_its_answers(message, wrapper):
    assert (message.reply_channel.name, message.reply_channel.channel_layer) == (
        "answers?1",
        wrapper,
    )


def test_an_answer_goes_out_on_the_reply_channel(message, wrapper):
    message.reply_channel.send({"answer": 42})
    assert wrapper.receive(["answers?1"]) == ("answers?1", {"answer": 42})


@pytest.mark.parametrize("content", [{}, {"reply_channel": None}, {"reply_channel": ""}])
def test_a_message_may_have_no_reply_channel(wrapper, content):
    assert Message(content, "work", wrapper).reply_channel is None


def test_in_tests_a_message_needs_neither_channel_nor_layer():
    message = Message({"a": 1}, None, None)
    assert (message["a"], message.channel, message.reply_channel) == (1, None, None)


@pytest.mark.parametrize("name", ["user", "channel_session", "http_session"])
def test_what_decorators_set_is_there_and_none(message, name):
    assert getattr(message, name) is None


def test_a_message_is_not_doomed_unless_its_worker_says_so(message):
    assert message.__doomed__ is False


# Like a dict --------------------------------------------------------------------------------------


def test_values_are_got_by_key(message):
    assert message["a"] == 1


def test_a_missing_key_is_a_key_error(message):
    with pytest.raises(KeyError, match="nope"):
        message["nope"]


def test_values_are_set_by_key(message):
    message["a"] = 2
    assert message.content["a"] == 2


def test_keys_are_in_a_message(message):
    assert "a" in message
    assert "nope" not in message


def test_get_has_a_default(message):
    assert (message.get("a"), message.get("nope"), message.get("nope", 3)) == (1, None, 3)


def test_keys_values_and_items_are_those_of_the_content(message):
    assert message.keys() == message.content.keys()
    assert list(message.values()) == list(message.content.values())
    assert message.items() == message.content.items()


# Copies -------------------------------------------------------------------------------------------


def test_a_copy_has_a_content_of_its_own(message):
    message.copy()["b"]["c"].append(3)
    assert message["b"] == {"c": [2]}


def test_a_copy_is_of_the_same_channel_and_layer(message):
    copied = message.copy()
    assert (copied.channel_name, copied.channel_layer) == ("work", message.channel_layer)
    assert copied.content == message.content


def test_a_copy_carries_nothing_else_over(message):
    message.user = "somebody"
    assert message.copy().user is None


def test_a_message_shows_its_channel_and_keys_and_no_values(message):
    assert repr(message) == "<Message on work: a, b, reply_channel>"


# The old name of the outbox -----------------------------------------------------------------------


@pytest.fixture
def work():
    return Channel("work", channel_layer=ChannelLayerWrapper(InMemoryChannelLayer(), "default", []))


@pytest.fixture
def store():
    yield pending_message_store
    pending_message_store.send_and_flush()


def test_the_store_holds_sends_back_until_it_is_flushed(store, work):
    store.prepare()
    assert store.active
    work.send({"n": 1})
    store.append(work, {"n": 2})
    assert work.channel_layer.receive(["work"]) == (None, None)
    store.send_and_flush()
    assert not store.active
    assert [work.channel_layer.receive(["work"])[1] for _ in range(2)] == [{"n": 1}, {"n": 2}]
    work.send({"n": 3})
    assert work.channel_layer.receive(["work"]) == ("work", {"n": 3})


def test_the_store_can_be_used_again(store, work):
    for _ in range(2):
        store.prepare()
        work.send({})
        assert work.channel_layer.receive(["work"]) == (None, None)
        store.send_and_flush()
        assert work.channel_layer.receive(["work"]) == ("work", {})


def test_where_no_consumer_runs_the_store_is_not_active(store):
    assert not store.active
    store.send_and_flush()


def test_the_store_is_a_view_of_the_outbox_of_the_consumer(store, work):
    with outbox.holding() as box:
        store.prepare()
        store.append(work, {"n": 1})
        assert store.active
        assert len(box.sends) == 1
        store.send_and_flush()  # early
        assert work.channel_layer.receive(["work"]) == ("work", {"n": 1})
        store.prepare()
        work.send({"n": 2})
        assert len(box.sends) == 1
    assert not store.active
