"""Cluster: each shard is found in a real Cluster, also after its slot or its master has moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis.crc import key_slot

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.cluster import cluster_nodes, tags
from channels_classic.layers.on_redis.ring import Node, Place
from channels_classic.layers.on_redis.wire import Command
from tests.acceptance.processes import free_port, wait_until
from tests.layers.on_redis.callers import Caller, OnLoop, OnThread
from tests.redis_topologies import HOST, PATIENT_MS, ClusterSite, Server


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[ClusterSite]:
    """A Cluster whose slots the tests may move."""
    with ClusterSite(tmp_path_factory.mktemp("cluster"), down_after_ms=PATIENT_MS) as site:
        yield site


@pytest.fixture(params=[OnThread, OnLoop])
def connect(request) -> Iterator[Callable[[Node], Caller]]:
    """Links of both kinds."""
    callers: list[Caller] = []

    def make(node: Node) -> Caller:
        callers.append(request.param(node))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()


def elsewhere(site: ClusterSite, slot: int) -> Server:
    """A master that does not have ``slot``."""
    return next(server for server in site.servers if server is not site.owner(slot))


def answer(caller: Caller, *commands: Command) -> list[Any] | None:
    """The replies, or None while the bus is away."""
    with suppress(LayerUnavailable):
        return caller.call(*commands)


# Shards -----------------------------------------------------------------------------------


def test_a_shard_is_one_slot_on_the_server_that_has_it(site, connect):
    nodes = cluster_nodes(site.hosts, 3, None)
    for node in nodes:
        keys = [f"asgi:{{{node.tag}}}:{name}" for name in ("channel:{a}", "stats:{b}")]
        assert connect(node).call(("MSET", keys[0], 1, keys[1], 2), ("MGET", *keys)) == [
            b"OK",
            [b"1", b"2"],
        ]
        assert {key_slot(key.encode()) for key in keys} == {node.slot}
        assert node.place == Place(*site.owner(node.slot).place)
    assert len({node.place for node in nodes}) == 3


def test_one_server_is_enough_to_find_the_others(site, connect):
    [alone, *_] = site.hosts
    for node in cluster_nodes([f"redis://{HOST}:{alone[1]}/0"], 3, None):
        assert connect(node).call(("GET", f"{{{node.tag}}}:nothing")) == [None]


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 100])
def test_shards_are_spread_evenly_over_the_slots(shards):
    slots = [key_slot(tag.encode()) for tag in tags(shards)]
    assert [slot * shards // 16384 for slot in slots] == list(range(shards))


def test_the_tags_of_a_number_of_shards_never_change():
    assert tags(1) == ["0"]
    assert tags(3) == ["3", "1", "0"]


# What moves -------------------------------------------------------------------------------


def test_a_shard_whose_slot_has_moved_is_found_again(site, connect):
    [node, *_] = cluster_nodes(site.hosts, 3, None)
    caller, other, key = connect(node), connect(node), f"{{{node.tag}}}:moved"
    caller.call(("SET", key, "kept")), other.call(("GET", key))
    new = elsewhere(site, node.slot)
    site.move(node.slot, new)
    with pytest.raises(LayerUnavailable, match="cannot do this .*Moved") as caught:
        caller.call(("SET", key, 1), ("GET", key))
    assert not caught.value.in_doubt
    assert caller.call(("GET", key)) == [b"kept"]
    assert node.place == Place(*new.place)
    assert other.call(("GET", key)) == [b"kept"]  # one link has found out for all


def test_while_a_slot_is_moving_what_is_not_there_is_asked_for_later(site, connect):
    [_, node, _] = cluster_nodes(site.hosts, 3, None)
    caller = connect(node)
    old, new = f"{{{node.tag}}}:old", f"{{{node.tag}}}:new"
    caller.call(("SET", old, 1))
    target = elsewhere(site, node.slot)
    site.begin_move(node.slot, target)
    with pytest.raises(LayerUnavailable, match="cannot do this .*Ask") as caught:
        caller.call(("SET", new, 1))
    assert not caught.value.in_doubt
    with pytest.raises(LayerUnavailable, match="cannot do this .*TryAgain"):
        caller.call(("MSET", old, 1, new, 1))
    with pytest.raises(LayerUnavailable) as caught:
        caller.call(("SET", old, 2), ("SET", new, 2))
    assert caught.value.in_doubt  # the first one was done
    site.end_move(node.slot, target)
    assert wait_until(lambda: answer(caller, ("MGET", old, new))) == [[b"2", None]]


def test_a_slot_that_nobody_has_is_waited_for(site, connect):
    [*_, node] = cluster_nodes(site.hosts, 3, None)
    caller, key = connect(node), f"{{{node.tag}}}:down"
    caller.call(("SET", key, 1))
    owner = site.owner(node.slot)
    owner.ask("CLUSTER", "DELSLOTS", node.slot)
    try:
        with pytest.raises(LayerUnavailable, match="cannot do this .*ClusterDown") as caught:
            caller.call(("GET", key))
        assert not caught.value.in_doubt
    finally:
        owner.ask("CLUSTER", "ADDSLOTS", node.slot)
    assert wait_until(lambda: answer(caller, ("SET", key, 2))) == [b"OK"]


def test_when_a_master_dies_its_replica_is_found(tmp_path, connect):
    with ClusterSite(tmp_path) as site:
        [node, *_] = cluster_nodes(site.hosts[:1], 3, None)  # those who were not named are learnt
        caller, key = connect(node), f"{{{node.tag}}}:kept"
        master = site.owner(node.slot)
        assert master is site.servers[0]
        replica = site.add_replica(master)
        caller.call(("SET", key, "kept"), ("WAIT", 1, 5000))
        master.kill()
        with pytest.raises(LayerUnavailable) as caught:
            caller.call(("GET", key))
        assert caught.value.in_doubt
        site.promote(replica)
        assert wait_until(lambda: answer(caller, ("GET", key)), 60) == [b"kept"]
        assert node.place == Place(*replica.place)


# What is no Cluster -------------------------------------------------------------------------


def test_a_server_that_is_in_no_cluster_says_so(tmp_path, connect):
    with Server(tmp_path) as server:
        [node] = cluster_nodes([server.place], 1, None)
        with pytest.raises(LayerUnavailable, match="cluster support disabled"):
            connect(node).call(("PING",))


def test_without_any_server_it_says_which_were_asked(connect):
    ports = free_port(), free_port()
    [node] = cluster_nodes([(HOST, port) for port in ports], 1, None)
    with pytest.raises(LayerUnavailable, match="Nobody knows where slot") as caught:
        connect(node).call(("PING",))
    assert all(f"{HOST}:{port}: Error" in str(caught.value) for port in ports)
    assert "redis-cli cluster info" in str(caught.value)
    assert not caught.value.in_doubt


@pytest.mark.parametrize(
    ("hosts", "options", "reason"),
    [
        (["redis://localhost:7000/1"], None, "no database but 0"),
        (["redis://localhost:7000?db=2"], None, "no database but 0"),
        ([("localhost", 7000)], {"db": 3}, "no database but 0"),
        (["unix:///run/redis.sock"], None, "is a UNIX socket"),
        (["redis://a:1", "rediss://b:1"], None, "need the same user, password and options"),
        (["redis://:hunter2@a:1", ("b", 1)], None, "a:1 and b:1 need the same user"),
        ([], None, "names no server"),
        ("redis://localhost:7000", None, "hosts is a list: .* not a str"),
    ],
)
def test_hosts_that_cannot_be_a_cluster_are_refused(hosts, options, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        cluster_nodes(hosts, 3, options)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("shards", [0, -1, 16385, "3", 2.0, True, None])
def test_shards_are_a_number(shards):
    with pytest.raises(ValueError, match="shards must be a number from 1 to 16384"):
        cluster_nodes(None, shards, None)
