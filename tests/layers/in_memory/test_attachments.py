"""What is attached to connections in memory, and its end."""

from __future__ import annotations

import asyncio

import pytest

from tests.layers.test_memory import kept

#: How long the attachments of a closed connection are kept, by default, in seconds.
LIFE = 120


@pytest.fixture
def pass_time(memory_layer, clock):
    """``pass_time(seconds)``: and then somebody uses the layer."""

    def wait(seconds):
        clock.now += seconds
        memory_layer.receive(["x"])

    return wait


def test_nothing_stays_of_a_connection_that_has_closed(memory_layer, pass_time):
    async def check():
        inbox = memory_layer.inbox("p!")
        memory_layer.attach("p!a", "user", {})
        inbox.forget("a")
        pass_time(LIFE - 1)
        assert memory_layer.attached(["p!a"], "user") == [{}]
        inbox.forget("a")  # as for an answer that comes late: it is not kept for longer
        pass_time(1)
        assert set(kept(memory_layer)) == {"is_open"}

    asyncio.run(check())


def test_what_comes_after_the_close_goes_as_well(memory_layer, pass_time):
    memory_layer.inbox("p!", lambda local: False)
    memory_layer.attach("p!a", "user", {})
    pass_time(LIFE - 1)
    assert memory_layer.attached(["p!a"], "user") == [{}]
    pass_time(1)
    assert set(kept(memory_layer)) == {"is_open"}


def test_nothing_stays_of_a_server_that_has_stopped(memory_layer, pass_time):
    async def check():
        inbox = memory_layer.inbox("p!")
        memory_layer.attach("p!a", "user", {})
        memory_layer.attach("p!b", "user", {})
        await inbox.close()

    asyncio.run(check())
    assert memory_layer.attached(["p!a", "p!b"], "user") == [{}, {}]
    pass_time(LIFE)
    assert kept(memory_layer) == {}


def test_what_is_attached_where_no_server_is_ends_after_group_expiry(memory_layer, pass_time):
    for channel in ("p!a", "plain"):
        memory_layer.attach(channel, "user", {})
    pass_time(memory_layer.group_expiry - 1)
    assert memory_layer.attached(["p!a", "plain"], "user") == [{}, {}]
    pass_time(1)
    assert kept(memory_layer) == {}


def test_what_is_detached_takes_no_room(memory_layer):
    memory_layer.attach("p!a", "user", {})
    memory_layer.detach("p!a", "user")
    assert kept(memory_layer) == {}
