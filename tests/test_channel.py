"""Channel and Group: what users send with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import pytest
from django.db import transaction
from django.db.utils import ConnectionDoesNotExist

from channels_classic import outbox
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.channel import Channel, Group
from channels_classic.exceptions import (
    ChannelFull,
    InvalidContent,
    InvalidName,
    MessageTooLarge,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from tests.test.classic_layer import ClassicLayer


@pytest.fixture
def wrapper(layer):
    """Each layer in turn, as the settings would make it."""
    return ChannelLayerWrapper(layer, "default", [])


@pytest.fixture
def memory():
    return ChannelLayerWrapper(InMemoryChannelLayer(capacity=2), "default", [])


both = pytest.mark.parametrize("kind", [Channel, Group])


# Names and layers -------------------------------------------------------------------------------


@both
def test_a_name_is_kept(kind, memory):
    target = kind("a.name", channel_layer=memory)
    assert (target.name, str(target), repr(target)) == (
        "a.name",
        "a.name",
        f"{kind.__name__}('a.name')",
    )


@both
def test_a_name_may_be_ascii_bytes(kind, memory):
    assert kind(b"a.name", channel_layer=memory).name == "a.name"


@both
def test_bytes_beyond_ascii_are_no_name(kind, memory):
    with pytest.raises(InvalidName, match="is not a channel or group name"):
        kind(b"\xff", channel_layer=memory)


@both
def test_the_layer_is_the_one_given(kind, memory):
    assert kind("name", channel_layer=memory).channel_layer is memory


@both
@pytest.mark.parametrize("nothing", [None, False, ""])
def test_without_a_layer_it_is_the_default_one(kind, nothing):
    assert kind("name", channel_layer=nothing).channel_layer is channel_layers["default"]


@both
def test_the_layer_may_be_named_by_its_alias(kind, settings):
    entry = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {"default": entry, "other": entry}
    assert kind("name", alias="other").channel_layer is channel_layers["other"]
    assert kind("name", "other").channel_layer is channel_layers["other"]


@both
def test_an_unknown_alias_is_a_key_error(kind):
    with pytest.raises(KeyError, match="nope"):
        kind("name", alias="nope")


# Sending to a channel -----------------------------------------------------------------------------


def test_what_is_sent_is_received(wrapper, layer):
    Channel("work", channel_layer=wrapper).send({"a": 1, "b": b"\x00", "c": [None, True]})
    assert layer.receive(["work"]) == ("work", {"a": 1, "b": b"\x00", "c": [None, True]})


def test_a_full_channel_is_the_senders_affair(memory):
    channel = Channel("work", channel_layer=memory)
    channel.send({})
    channel.send({})
    with pytest.raises(ChannelFull, match="work is full"):
        channel.send({})


@both
@pytest.mark.parametrize("content", ["text", None, [("a", 1)], 5])
@pytest.mark.parametrize("error", [InvalidContent, TypeError, ValueError])
def test_content_that_is_no_dict_is_refused_by_both_names(kind, content, error, memory):
    """Channels 1 raised ``TypeError`` for a channel and ``ValueError`` for a group."""
    with pytest.raises(error, match="the content of a message is a dict, not"):
        kind("name", channel_layer=memory).send(content)


@both
def test_a_value_that_cannot_be_carried_is_refused_with_its_place(kind, memory):
    with pytest.raises(InvalidContent, match=r"a.*b"):
        kind("name", channel_layer=memory).send({"a": {"b": object()}})


@both
def test_a_message_that_is_too_large_is_refused(kind, memory):
    with pytest.raises(MessageTooLarge):
        kind("name", channel_layer=memory).send({"a": "x" * 2_000_000})


@both
@pytest.mark.parametrize("name", ["not fine", "", "x" * 100, "a!b!c", 5, None])
def test_a_bad_name_is_refused_when_it_is_sent_to(kind, name, memory):
    with pytest.raises(InvalidName):
        kind(name, channel_layer=memory).send({})


# Inside a consumer --------------------------------------------------------------------------------


def test_inside_a_consumer_a_send_waits_for_its_end(wrapper, layer):
    with outbox.holding() as box:
        Channel("work", channel_layer=wrapper).send({"a": 1})
        assert layer.receive(["work"]) == (None, None)
    box.flush()
    assert layer.receive(["work"]) == ("work", {"a": 1})


def test_inside_a_consumer_a_group_send_waits_too(wrapper, layer):
    Group("group", channel_layer=wrapper).add("work")
    with outbox.holding() as box:
        Group("group", channel_layer=wrapper).send({"a": 1})
        assert layer.receive(["work"]) == (None, None)
    box.flush()
    assert layer.receive(["work"]) == ("work", {"a": 1})


def test_an_immediate_send_does_not_wait(wrapper, layer):
    with outbox.holding() as box:
        Channel("work", channel_layer=wrapper).send({"a": 1}, immediately=True)
        assert layer.receive(["work"]) == ("work", {"a": 1})
    assert box.sends == []


def test_an_immediate_group_send_does_not_wait(wrapper, layer):
    group = Group("group", channel_layer=wrapper)
    group.add("work")
    with outbox.holding() as box:
        group.send({"a": 1}, immediately=True)
        assert layer.receive(["work"]) == ("work", {"a": 1})
    assert box.sends == []


@both
@pytest.mark.parametrize(
    ("name", "content", "error"),
    [("not fine", {}, InvalidName), ("fine", "text", InvalidContent)],
)
def test_inside_a_consumer_what_is_wrong_is_known_at_once(kind, name, content, error, memory):
    with outbox.holding() as box, pytest.raises(error):
        kind(name, channel_layer=memory).send(content)
    assert box.sends == []


# Later --------------------------------------------------------------------------------------------


def beaten(layer):
    """The next message on "work", once a beat has found it due."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        layer.beat("worker", ["work"], ttl=10, recover=False)
        _, content = layer.receive(["work"])
        if content is not None:
            return content
    raise AssertionError("nothing came")


def test_a_delayed_message_comes_later(wrapper, layer):
    began = time.monotonic()
    Channel("work", channel_layer=wrapper).send({"a": 1}, delay=0.2)
    assert beaten(layer) == {"a": 1}
    assert time.monotonic() - began >= 0.19  # the bus counts in milliseconds


def test_inside_a_consumer_the_delay_counts_from_its_end(wrapper, layer):
    with outbox.holding() as box:
        Channel("work", channel_layer=wrapper).send({"a": 1}, delay=0.2)
    time.sleep(0.2)  # it works
    began = time.monotonic()
    box.flush()
    assert beaten(layer) == {"a": 1}
    assert time.monotonic() - began >= 0.19  # the bus counts in milliseconds


def test_an_immediate_delayed_message_does_not_wait_for_the_end(wrapper, layer):
    with outbox.holding() as box:
        Channel("work", channel_layer=wrapper).send({"a": 1}, immediately=True, delay=0.05)
        assert box.sends == []
        assert beaten(layer) == {"a": 1}


def test_too_many_delayed_messages_are_the_senders_affair():
    layer = InMemoryChannelLayer(later_limit=1)
    channel = Channel("work", channel_layer=ChannelLayerWrapper(layer, "default", []))
    channel.send({}, delay=60)
    with pytest.raises(ChannelFull, match="work is full"):
        channel.send({}, delay=60)


@pytest.mark.parametrize("delay", [-1, "5", float("nan"), True])
@pytest.mark.parametrize("in_consumer", [False, True])
def test_a_delay_that_is_no_number_of_seconds_is_refused_at_once(memory, delay, in_consumer):
    holding = outbox.holding() if in_consumer else contextlib.nullcontext()
    with holding, pytest.raises(ValueError, match="the delay is a number of seconds"):
        Channel("work", channel_layer=memory).send({}, delay=delay)


def test_a_layer_that_has_no_delays_says_so():
    layer = ChannelLayerWrapper(ClassicLayer(), "default", [])
    with pytest.raises(ValueError, match="ClassicLayer has no delayed messages"):
        Channel("work", channel_layer=layer).send({}, delay=1)


# Groups -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_name", [True, False])
def test_a_member_may_be_a_channel_or_its_name(wrapper, layer, by_name):
    group = Group("group", channel_layer=wrapper)
    member = "work" if by_name else Channel("work", channel_layer=wrapper)
    group.add(member)
    assert layer.group_channels("group") == ["work"]
    group.discard(member)
    assert layer.group_channels("group") == []


def test_a_group_send_reaches_every_member(wrapper, layer):
    group = Group("group", channel_layer=wrapper)
    for name in ("a", "b"):
        group.add(name)
    group.send({"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 1})
    assert layer.receive(["b"]) == ("b", {"n": 1})


def test_membership_does_not_wait_for_the_end_of_the_consumer(wrapper, layer):
    group = Group("group", channel_layer=wrapper)
    with outbox.holding():
        group.add("work")
        assert layer.group_channels("group") == ["work"]
        group.discard("work")
        assert layer.group_channels("group") == []


def test_a_group_passes_over_its_full_members(memory):
    group = Group("group", channel_layer=memory)
    group.add("work")
    for _ in range(5):
        group.send({})
    assert memory.channel_statistics("work")["messages_pending"] == 2


def test_who_is_no_member_can_be_discarded(wrapper, layer):
    Group("group", channel_layer=wrapper).discard("nobody")
    assert layer.group_channels("group") == []


def test_a_group_that_nobody_is_in_can_be_sent_to(wrapper, layer):
    Group("group", channel_layer=wrapper).send({})
    assert layer.group_channels("group") == []


# At commit ----------------------------------------------------------------------------------------

transactional = pytest.mark.django_db(transaction=True)


def reached(kind, wrapper):
    """A target of this kind, all of which comes on the channel "work"."""
    if kind is Channel:
        return Channel("work", channel_layer=wrapper)
    group = Group("group", channel_layer=wrapper)
    group.add("work")
    return group


@both
@transactional
def test_on_commit_it_is_sent_when_the_transaction_is_committed(kind, wrapper, layer):
    target = reached(kind, wrapper)
    with transaction.atomic():
        target.send({"a": 1}, on_commit=True)
        assert layer.receive(["work"]) == (None, None)
    assert layer.receive(["work"]) == ("work", {"a": 1})


@both
@transactional
def test_on_commit_it_is_never_sent_after_a_rollback(kind, memory):
    target = reached(kind, memory)
    with contextlib.suppress(KeyError), transaction.atomic():
        target.send({}, on_commit=True)
        raise KeyError
    with transaction.atomic():
        pass
    assert memory.receive(["work"]) == (None, None)


@transactional
def test_on_commit_it_is_not_sent_when_its_savepoint_was_rolled_back(memory):
    channel = Channel("work", channel_layer=memory)
    with transaction.atomic():
        with contextlib.suppress(KeyError), transaction.atomic():
            channel.send({"in": "savepoint"}, on_commit=True)
            raise KeyError
        channel.send({"in": "transaction"}, on_commit=True)
    assert memory.receive(["work"]) == ("work", {"in": "transaction"})
    assert memory.receive(["work"]) == (None, None)


@both
@transactional
def test_on_commit_without_a_transaction_it_is_sent_at_once(kind, memory):
    reached(kind, memory).send({"a": 1}, on_commit=True)
    assert memory.receive(["work"]) == ("work", {"a": 1})


@transactional
def test_on_commit_without_a_transaction_a_full_channel_is_the_senders_affair(memory):
    channel = Channel("work", channel_layer=memory)
    channel.send({}), channel.send({})
    with pytest.raises(ChannelFull):
        channel.send({}, on_commit=True)


@transactional
def test_on_commit_the_content_is_what_it_was_at_the_call(memory):
    content = {"a": 1}
    with transaction.atomic():
        Channel("work", channel_layer=memory).send(content, on_commit=True)
        content["a"] = 2
    assert memory.receive(["work"]) == ("work", {"a": 1})


@both
@pytest.mark.parametrize(
    ("name", "content", "error"),
    [("not fine", {}, InvalidName), ("fine", {"a": object()}, InvalidContent)],
)
@transactional
def test_on_commit_what_is_wrong_is_known_at_the_call(kind, name, content, error, memory):
    with transaction.atomic(), pytest.raises(error):
        kind(name, channel_layer=memory).send(content, on_commit=True)


@transactional
def test_a_send_that_fails_at_commit_is_logged_and_harms_no_other(memory, caplog):
    channel, ran = Channel("work", channel_layer=memory), []
    channel.send({}), channel.send({})
    with transaction.atomic():
        channel.send({}, on_commit=True)
        transaction.on_commit(lambda: ran.append("other"))
    assert ran == ["other"]
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "work is full" in record.getMessage()


@transactional
def test_on_commit_inside_a_consumer_it_waits_for_the_commit_and_for_its_end(wrapper, layer):
    channel = Channel("work", channel_layer=wrapper)
    with outbox.holding() as box:
        with transaction.atomic():
            channel.send({"n": 2}, on_commit=True)
            channel.send({"n": 1})
            assert len(box.sends) == 1
        assert len(box.sends) == 2
        assert layer.receive(["work"]) == (None, None)
    box.flush()
    assert layer.receive(["work"]) == ("work", {"n": 1})
    assert layer.receive(["work"]) == ("work", {"n": 2})


@transactional
def test_on_commit_and_immediately_it_does_not_wait_for_the_end_of_the_consumer(memory):
    with outbox.holding() as box:
        with transaction.atomic():
            Channel("work", channel_layer=memory).send({}, immediately=True, on_commit=True)
            assert memory.receive(["work"]) == (None, None)
        assert memory.receive(["work"]) == ("work", {})
    assert box.sends == []


@transactional
def test_on_commit_after_the_end_of_the_consumer_it_is_sent_at_once(memory):
    with transaction.atomic():
        with outbox.holding() as box:
            Channel("work", channel_layer=memory).send({}, on_commit=True)
        assert box.sends == []
    assert memory.receive(["work"]) == ("work", {})


@transactional
def test_a_delay_counts_from_the_commit():
    layer = InMemoryChannelLayer()
    channel = Channel("work", channel_layer=ChannelLayerWrapper(layer, "default", []))
    with transaction.atomic():
        channel.send({"a": 1}, delay=0.2, on_commit=True)
        time.sleep(0.2)  # it works
        began = time.monotonic()
    assert beaten(layer) == {"a": 1}
    assert time.monotonic() - began >= 0.19


@transactional
def test_the_database_of_the_commit_may_be_named(memory):
    channel = Channel("work", channel_layer=memory)
    with transaction.atomic("default"):
        channel.send({}, on_commit="default")
        assert memory.receive(["work"]) == (None, None)
    assert memory.receive(["work"]) == ("work", {})
    with pytest.raises(ConnectionDoesNotExist):
        channel.send({}, on_commit="nope")


# In async code ------------------------------------------------------------------------------------


@both
def test_async_code_sends_and_joins(kind, wrapper, layer):
    async def check():
        group = Group("group", channel_layer=wrapper)
        await group.aadd("work")
        target = group if kind is Group else Channel("work", channel_layer=wrapper)
        await target.asend({"a": 1})
        await group.adiscard(Channel("work", channel_layer=wrapper))

    asyncio.run(check())
    assert layer.receive(["work"]) == ("work", {"a": 1})
    assert layer.group_channels("group") == []


@both
def test_in_async_code_what_is_wrong_is_known_at_once(kind, memory):
    with pytest.raises(InvalidContent):
        asyncio.run(kind("work", channel_layer=memory).asend("text"))


def test_in_async_code_a_full_channel_is_the_senders_affair(memory):
    async def check():
        for _ in range(3):
            await Channel("work", channel_layer=memory).asend({})

    with pytest.raises(ChannelFull, match="work is full"):
        asyncio.run(check())


def test_in_async_code_a_group_passes_over_its_full_members(memory):
    async def check():
        group = Group("group", channel_layer=memory)
        await group.aadd("work")
        for _ in range(3):
            await group.asend({})

    asyncio.run(check())
    assert memory.channel_statistics("work")["messages_pending"] == 2


def test_in_async_code_a_message_may_come_later(wrapper, layer):
    began = time.monotonic()
    asyncio.run(Channel("work", channel_layer=wrapper).asend({"a": 1}, delay=0.2))
    assert beaten(layer) == {"a": 1}
    assert time.monotonic() - began >= 0.19


@both
def test_inside_an_async_consumer_a_send_waits_for_its_end(kind, memory):
    async def consumer():
        target = reached(kind, memory)
        with outbox.holding() as box:
            await target.asend({"n": 1})
            await target.asend({"n": 0}, immediately=True)
            target.send({"n": 2})
        assert memory.receive(["work"]) == ("work", {"n": 0})
        await box.flush_async()

    asyncio.run(consumer())
    assert memory.receive(["work"]) == ("work", {"n": 1})
    assert memory.receive(["work"]) == ("work", {"n": 2})


def test_a_thread_of_an_async_consumer_sends_with_it(memory):
    async def consumer():
        with outbox.holding() as box:
            await asyncio.to_thread(Channel("work", channel_layer=memory).send, {"a": 1})
        return box

    assert len(asyncio.run(consumer()).sends) == 1
    assert memory.receive(["work"]) == (None, None)


def test_a_task_that_a_consumer_left_behind_sends_at_once(memory):
    async def consumer():
        ended = asyncio.Event()

        async def later():
            await ended.wait()
            await Channel("work", channel_layer=memory).asend({"a": 1})

        with outbox.holding() as box:
            task = asyncio.create_task(later())
        await box.flush_async()
        ended.set()
        await task

    asyncio.run(consumer())
    assert memory.receive(["work"]) == ("work", {"a": 1})


def test_a_plain_send_works_on_an_event_loop_too(wrapper, layer):
    """As from a notebook or a bot: it takes one round trip, during which the loop waits."""

    async def check():
        Channel("work", channel_layer=wrapper).send({"a": 1})

    asyncio.run(check())
    assert layer.receive(["work"]) == ("work", {"a": 1})


# Full channels of other layers --------------------------------------------------------------------


def test_a_full_channel_is_told_by_the_error_of_its_layer():
    class Full(ChannelFull):
        pass

    class Layer(ClassicLayer):
        ChannelFull = Full

        def send(self, channel, content):
            raise Full

    with pytest.raises(Full):
        Channel("work", channel_layer=ChannelLayerWrapper(Layer(), "default", [])).send({})
