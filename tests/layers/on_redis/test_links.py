"""Links: connections that are shared, replaced when they are dead, and never mixed up."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import warnings

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis import links
from channels_classic.layers.on_redis.links import AsyncLink, Link, Links, good
from channels_classic.layers.on_redis.ring import nodes
from channels_classic.layers.on_redis.wire import ALIVE
from tests.acceptance.processes import wait_until
from tests.layers.on_redis.callers import OnLoop, OnThread
from tests.redis_topologies import HOST, Server


@pytest.fixture
def node(redis_server):
    return nodes([redis_server.url], {"client_name": "links-test"})[0]


@pytest.fixture
def shared(node):
    shared = Links(node, 4)
    yield shared
    shared.close()


def connections(client) -> list[int]:
    """The ids of the connections that these tests have open."""
    return [int(c["id"]) for c in client.client_list() if c["name"] == "links-test"]


def kill(client) -> None:
    """Close the connections of these tests, from the server's end."""
    for number in connections(client):
        client.client_kill_filter(_id=number)


# One connection ---------------------------------------------------------------------------


def test_several_commands_get_their_replies_in_order(node):
    link = Link(node)
    assert link.call([("PING",), ("ECHO", "a"), ("ECHO", b"\xff")]) == [b"PONG", b"a", b"\xff"]
    link.close()


def test_an_error_is_the_reply_of_its_command_alone(node):
    link = Link(node)
    first, second, third = link.call([("PING",), ("NONSENSE",), ("ECHO", "a")])
    assert (first, third) == (b"PONG", b"a")
    assert "unknown command" in str(second)
    with pytest.raises(LayerUnavailable, match="refuses: unknown command"):
        good(node.name, [first, second])
    link.close()


def test_scripts_are_there_again_after_somebody_removed_them(node, client):
    link = Link(node)
    command = ALIVE.command(["links-test:workers"], [])
    assert link.call([command]) == [0]
    client.script_flush()
    assert link.call([("ECHO", "a"), command, ("ECHO", "b"), command]) == [b"a", 0, b"b", 0]
    link.close()


def test_nothing_to_say_is_not_said(node):
    async def check() -> None:
        link = AsyncLink(node)
        assert await link.call([("PING",)]) == [b"PONG"]
        wrote = link._connection._writer.transport
        assert await link.call([]) == []
        assert wrote.get_write_buffer_size() == 0
        await link.close()
        assert not link._connection.is_connected

    asyncio.run(check())


def test_scripts_are_there_again_on_an_event_loop(node, client):
    async def check():
        link = AsyncLink(node)
        command = ALIVE.command(["links-test:workers"], [])
        assert await link.call([command]) == [0]
        client.script_flush()
        assert await link.call([("ECHO", "a"), command]) == [b"a", 0]
        await link.close()

    asyncio.run(check())


def test_a_link_that_broke_is_in_doubt_once_and_opens_again(node, client):
    link = Link(node)
    link.call([("PING",)])
    kill(client)
    with pytest.raises(LayerUnavailable) as caught:
        link.call([("PING",)])
    assert caught.value.in_doubt
    assert link.call([("PING",)]) == [b"PONG"]
    link.close()


def test_a_server_that_hangs_ends_a_call_after_the_timeout(node, client):
    link = Link(node, timeout=0.1)
    link.call([("PING",)])
    client.client_pause(300, all=True)
    with pytest.raises(LayerUnavailable, match="does not answer") as caught:
        link.call([("PING",)])
    assert caught.value.in_doubt
    client.client_unpause()
    assert link.call([("ECHO", "mine")]) == [b"mine"]
    link.close()


def test_a_server_that_hangs_ends_a_call_on_an_event_loop(node, client):
    async def check():
        link = AsyncLink(node)
        await link.call([("PING",)])
        client.client_pause(300, all=True)
        with pytest.raises(LayerUnavailable, match="does not answer") as caught:
            await link.call([("PING",)], timeout=0.1)
        assert caught.value.in_doubt
        client.client_unpause()
        assert await link.call([("ECHO", "mine")]) == [b"mine"]
        await link.close()

    asyncio.run(check())


def test_a_call_that_is_cancelled_leaves_no_reply_to_the_next(node):
    async def check():
        link = AsyncLink(node)
        await link.call([("PING",)])
        for pause in (0, 0, 0.001, 0.01):
            waiting = asyncio.ensure_future(
                link.call([("ECHO", "old"), ("BLPOP", "links-test:nothing", 1)])
            )
            await asyncio.sleep(pause)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            assert await link.call([("ECHO", "new")]) == [b"new"]
        await link.close()

    asyncio.run(check())


# A server that is not the right one, or not ready --------------------------------------------


@pytest.fixture
def server(tmp_path):
    """A Redis of its own on a port."""
    with Server(tmp_path, **{"enable-debug-command": "yes"}) as server:
        yield server


@pytest.fixture(params=[OnThread, OnLoop])
def caller(request, server):
    """A link to ``server``, of either kind."""
    caller = request.param(nodes([server.place], None)[0])
    yield caller
    caller.close()


def test_a_replica_refuses_and_nothing_is_in_doubt(server, caller):
    caller.call(("SET", "key", 1))
    server.ask("REPLICAOF", HOST, 1)
    with pytest.raises(LayerUnavailable, match="it is a replica; name its master") as caught:
        caller.call(("SET", "key", 2), ("SET", "key", 3))
    assert not caught.value.in_doubt
    server.ask("REPLICAOF", "NO", "ONE")
    assert caller.call(("GET", "key"), ("SET", "key", 2)) == [b"1", b"OK"]


def test_a_script_on_a_replica_is_refused_too(server, caller):
    server.ask("REPLICAOF", HOST, 1)
    with pytest.raises(LayerUnavailable, match="it is a replica") as caught:
        caller.call(("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "key"))
    assert not caught.value.in_doubt


def test_a_master_that_lost_its_replicas_is_in_doubt_only_for_what_it_did(server, caller):
    caller.call(("SET", "key", 1))
    server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    with pytest.raises(LayerUnavailable, match="cannot do this .*NOREPLICAS") as caught:
        caller.call(("SET", "key", 2))
    assert not caught.value.in_doubt
    with pytest.raises(LayerUnavailable, match="cannot do this .*NOREPLICAS") as caught:
        caller.call(("GET", "key"), ("SET", "key", 2))
    assert caught.value.in_doubt


def test_a_server_that_loads_its_data_is_waited_for(server, caller):
    for number in range(200):
        caller.call(("SET", f"key-{number}", "x" * 1000))
    server.ask("CONFIG", "SET", "loading-process-events-interval-bytes", 1024)
    server.ask("CONFIG", "SET", "key-load-delay", 5_000)  # in microseconds
    loading = threading.Thread(target=server.ask, args=("DEBUG", "RELOAD"))
    loading.start()
    wait_until(lambda: server.info("persistence")["loading"] == "1")
    with pytest.raises(LayerUnavailable, match="loading") as caught:
        caller.call(("GET", "key-1"))
    assert not caught.value.in_doubt
    loading.join()
    assert caller.call(("STRLEN", "key-1")) == [1000]


def test_who_waits_on_a_master_that_becomes_a_replica_is_told(server):
    link = OnThread(nodes([server.place], None)[0])
    link.call(("XGROUP", "CREATE", "stream", "g", "0", "MKSTREAM"))
    read = ("XREADGROUP", "GROUP", "g", "c", "BLOCK", 5000, "STREAMS", "stream", ">")
    change = threading.Thread(target=when_blocked, args=(server, "REPLICAOF", HOST, 1))
    change.start()
    with pytest.raises(LayerUnavailable, match="UNBLOCKED force") as caught:
        link.call(read)
    assert not caught.value.in_doubt
    change.join()
    link.close()


def test_who_is_unblocked_by_hand_is_where_he_should_be(server):
    link = OnThread(nodes([server.place], None)[0])
    [number] = link.call(("CLIENT", "ID"))
    unblock = ("CLIENT", "UNBLOCK", number, "ERROR")
    waking = threading.Thread(target=when_blocked, args=(server, *unblock))
    waking.start()
    [reply] = link.call(("BLPOP", "nothing", 5))
    assert str(reply) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    waking.join()
    assert link.call(("CLIENT", "ID")) == [number]
    link.close()


def when_blocked(server: Server, *command: object) -> None:
    """Carry out ``command`` as soon as a client waits."""
    wait_until(lambda: server.info("clients")["blocked_clients"] == "1")
    server.ask(*command)


@pytest.mark.parametrize("kind", [OnThread, OnLoop])
def test_a_server_that_does_not_greet_is_left_soon(kind):
    """However long the replies may take: a master that hangs may have a successor."""
    with socket.create_server((HOST, 0)) as silent:
        host = silent.getsockname()
        [node] = nodes([host], {"socket_connect_timeout": 0.2})
        caller = kind(node, timeout=60)
        began = time.monotonic()
        with pytest.raises(LayerUnavailable, match="does not answer") as caught:
            caller.call(("PING",))
        assert time.monotonic() - began < 5
        assert not caught.value.in_doubt
        caller.close()


def test_a_reply_may_take_longer_than_the_greeting(server):
    [node] = nodes([server.place], {"socket_connect_timeout": 0.1})
    link = Link(node, timeout=5)
    assert link.call([("BLPOP", "nothing", 0.5)]) == [None]
    link.close()


@pytest.mark.parametrize("kind", [OnThread, OnLoop])
def test_what_cannot_be_sent_is_an_error_of_the_caller(kind, server):
    caller = kind(nodes([server.place], None)[0])
    [number] = caller.call(("CLIENT", "ID"))
    with pytest.raises(TypeError):
        caller.call(("SET", "key", None))
    assert caller.call(("CLIENT", "ID")) == [number]
    caller.close()


# Those that threads share -----------------------------------------------------------------


def test_a_link_is_used_again(shared, client):
    for _ in range(5):
        shared.call([("PING",)])
    assert len(connections(client)) == 1
    shared.close()


def test_a_dead_link_is_replaced_before_it_is_used(shared, client):
    shared.call([("PING",)])
    [dead] = connections(client)
    kill(client)
    assert shared.call([("PING",)]) == [b"PONG"]
    assert dead not in connections(client)


def test_no_more_links_are_open_than_the_limit(shared, client):
    """Twenty callers at once share four; each gets its own reply."""
    start = threading.Barrier(20)
    replies: dict[int, bytes] = {}

    def work(number: int) -> None:
        start.wait()
        [replies[number]] = shared.call([("ECHO", number)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == {number: b"%d" % number for number in range(20)}
    assert 1 <= len(connections(client)) <= 4


def test_who_waits_too_long_for_a_link_is_told_the_option(node, monkeypatch):
    monkeypatch.setattr(links, "TIMEOUT", 0.05)
    shared = Links(node, 1)
    with (
        shared._borrow(),
        pytest.raises(LayerUnavailable, match="in use for 0 s: raise max_connections") as caught,
    ):
        shared.call([("PING",)])
    assert not caught.value.in_doubt
    assert shared.call([("PING",)]) == [b"PONG"]
    shared.close()


def break_one(shared: Links, client) -> None:
    with shared._borrow() as link:
        kill(client)
        link.call([("PING",)])


def test_a_broken_link_frees_its_place(shared, client):
    for _ in range(10):
        shared.call([("PING",)])
        with pytest.raises(LayerUnavailable):
            break_one(shared, client)
    assert shared.call([("PING",)]) == [b"PONG"]


def test_a_child_process_opens_links_of_its_own(shared, client):
    shared.call([("PING",)])
    [before] = connections(client)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
        child = os.fork()
    if child == 0:  # no test of ours may go on in here
        [mine] = shared.call([("CLIENT", "ID")])
        os._exit(1 if mine == before else 0)
    assert shared.call([("ECHO", "parent")]) == [b"parent"]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert shared.call([("ECHO", "parent")]) == [b"parent"]
    assert before in connections(client)


def test_a_child_process_waits_for_no_link_of_its_parent(node):
    shared = Links(node, 1)
    with shared._borrow(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if shared.call([("PING",)]) == [b"PONG"] else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    shared.close()


def test_links_that_were_closed_open_again(shared, client):
    shared.call([("PING",)])
    shared.close()
    assert shared.call([("PING",)]) == [b"PONG"]
