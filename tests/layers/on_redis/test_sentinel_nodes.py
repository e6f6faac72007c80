"""Sentinel: links find the master through real Sentinels, also after a failover."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.links import Link
from channels_classic.layers.on_redis.ring import Place
from channels_classic.layers.on_redis.sentinel import sentinel_nodes
from tests.acceptance.processes import free_port, wait_until
from tests.layers.on_redis.callers import Caller, OnLoop, OnThread
from tests.redis_topologies import HOST, PATIENT_MS, SentinelServer, SentinelSite, Server

ROLE = ("ROLE",)
READ = ("XREADGROUP", "GROUP", "g", "c", "BLOCK", 20_000, "STREAMS", "stream", ">")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[SentinelSite]:
    """Two masters whose Sentinels the tests leave as they are."""
    services = ("first", "second")
    with SentinelSite(
        tmp_path_factory.mktemp("sentinel"), services, down_after_ms=PATIENT_MS
    ) as site:
        yield site


@pytest.fixture
def failing_site(tmp_path) -> Iterator[SentinelSite]:
    """One master, which the test may end."""
    with SentinelSite(tmp_path) as site:
        yield site


@pytest.fixture(params=[OnThread, OnLoop])
def connect(request) -> Iterator[Callable[..., Caller]]:
    """Links of both kinds to the first of some nodes."""
    callers: list[Caller] = []

    def make(nodes, **options) -> Caller:
        callers.append(request.param(nodes[0], **options))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()


def role(caller: Caller) -> str:
    [[name, *_]] = caller.call(ROLE)
    return name.decode()


def next_role(caller: Caller) -> str | None:
    """The role of the server that the next call finds, if it finds one."""
    with suppress(LayerUnavailable):
        return role(caller)


# Finding the master -----------------------------------------------------------------------


def test_a_link_leads_to_the_master_of_its_service(site, connect):
    for service in site.services:
        nodes = sentinel_nodes(site.hosts, [service], None)
        caller = connect(nodes)
        assert caller.call(("CONFIG", "GET", "port"))[0][1] == b"%d" % site.master(service).port
        assert nodes[0].place == Place(HOST, site.master(service).port)


def test_the_services_are_the_shards_in_order(site):
    nodes = sentinel_nodes(site.hosts, ["second", "first"], None)
    for node, service in zip(nodes, ["second", "first"], strict=True):
        link = Link(node)
        link.call([ROLE])
        link.close()
        assert node.place == Place(HOST, site.master(service).port)
        assert service in node.name


def test_sentinels_that_are_away_are_passed_over(site, connect):
    hosts = [(HOST, free_port()), *site.hosts]
    assert role(connect(sentinel_nodes(hosts, ["first"], None))) == "master"


def test_a_service_that_no_sentinel_knows_is_named_with_what_to_do(site, connect):
    caller = connect(sentinel_nodes(site.hosts, ["third"], None))
    with pytest.raises(LayerUnavailable, match="knows no master named 'third'") as caught:
        caller.call(ROLE)
    assert f"redis-cli -p {site.hosts[0][1]} sentinel masters" in str(caught.value)
    assert not caught.value.in_doubt


def test_what_is_no_sentinel_is_told_from_one(site, connect):
    caller = connect(sentinel_nodes([site.master("first").place], ["first"], None))
    with pytest.raises(LayerUnavailable, match="unknown command 'SENTINEL'"):
        caller.call(ROLE)


def test_without_any_sentinel_it_says_which_were_asked(connect):
    port = free_port()
    caller = connect(sentinel_nodes([(HOST, port)], ["first"], None))
    with pytest.raises(LayerUnavailable, match=f"{HOST}:{port}: Error") as caught:
        caller.call(ROLE)
    assert not caught.value.in_doubt


def test_sentinels_and_servers_have_passwords_of_their_own(tmp_path, connect):
    with (
        Server(tmp_path, requirepass="data") as master,
        SentinelServer(tmp_path, {"only": master}, requirepass="guard") as sentinel,
    ):
        hosts, data = [sentinel.place], {"password": "data"}
        nodes = sentinel_nodes(hosts, ["only"], data, sentinel_kwargs={"password": "guard"})
        assert role(connect(nodes)) == "master"
        caller = connect(sentinel_nodes(hosts, ["only"], data))
        with pytest.raises(LayerUnavailable, match=r"Authentication required.* sentinel_kwargs"):
            caller.call(ROLE)


# Failover ---------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", [0, 3600])
def test_after_a_failover_links_lead_to_the_new_master(failing_site, connect, refresh):
    nodes = sentinel_nodes(
        failing_site.hosts, failing_site.services, None, refresh_interval=refresh
    )
    caller = connect(nodes)
    caller.call(ROLE)
    old = failing_site.master()
    old.kill()
    with pytest.raises(LayerUnavailable) as caught:
        caller.call(("SET", "key", 1))
    assert caught.value.in_doubt
    new = failing_site.wait_for_failover(old)
    # the place of the old one may have been learnt once more, while there was no other
    assert wait_until(lambda: next_role(caller)) == "master"
    assert nodes[0].place == Place(HOST, new.port)


def test_a_link_leaves_a_master_that_hangs_for_the_next_one(failing_site, connect):
    options = {"socket_connect_timeout": 0.5}
    nodes = sentinel_nodes(failing_site.hosts, failing_site.services, options)
    caller, idle = connect(nodes, timeout=0.5), connect(nodes, timeout=0.5)
    caller.call(ROLE), idle.call(ROLE)
    old = failing_site.master()
    old.process.send_signal(signal.SIGSTOP)
    with pytest.raises(LayerUnavailable):
        caller.call(("SET", "key", 1))
    new = failing_site.wait_for_failover(old)
    assert wait_until(lambda: next_role(caller)) == "master"
    assert nodes[0].place == Place(HOST, new.port)
    assert role(idle) == "master"  # it need not wait in vain itself


def test_who_waits_for_messages_follows_the_master(failing_site):
    """A master that steps down ends the waiting, and the next call finds the other."""
    nodes = sentinel_nodes(failing_site.hosts, failing_site.services, None)
    caller = OnThread(nodes[0], timeout=30)
    caller.call(("XGROUP", "CREATE", "stream", "g", "0", "MKSTREAM"))
    caught: list[LayerUnavailable] = []

    def wait() -> None:
        try:
            caller.call(READ)
        except LayerUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    old = failing_site.master()
    wait_until(lambda: old.info("clients")["blocked_clients"] == "1")
    failing_site.sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster")
    new = failing_site.wait_for_failover(old)
    old.ask("REPLICAOF", *new.place)  # as the Sentinels do, some seconds later
    thread.join(30)
    [error] = caught
    if "UNBLOCKED" in str(error):
        assert not error.in_doubt
    else:  # the Sentinels were first, and cut the connections
        assert "Connection closed" in str(error)
    assert wait_until(lambda: next_role(caller)) == "master"
    assert nodes[0].place == Place(HOST, new.port)
    caller.close()


@pytest.mark.parametrize("kind", [OnThread, OnLoop])
def test_who_waits_on_a_master_that_hangs_is_called_to_the_next_one(failing_site, kind):
    """Long before its own patience ends."""
    [node] = sentinel_nodes(failing_site.hosts, failing_site.services, None)
    caller = kind(node, timeout=60)
    caller.call(("XGROUP", "CREATE", "stream", "g", "0", "MKSTREAM"), ("WAIT", 1, 5000))
    caught: list[LayerUnavailable] = []

    def wait() -> None:
        try:
            caller.call(READ)
        except LayerUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    old = failing_site.master()
    wait_until(lambda: old.info("clients")["blocked_clients"] == "1")
    old.process.send_signal(signal.SIGSTOP)
    new = failing_site.wait_for_failover(old)
    node.look_again()
    thread.join(5)
    assert not thread.is_alive()
    assert len(caught) == 1
    assert wait_until(lambda: next_role(caller)) == "master"
    assert node.place == Place(HOST, new.port)
    caller.close()


def test_links_leave_a_master_that_does_not_know_of_its_successor(failing_site, connect):
    """Whoever looks again now and then does not go on sending to where nothing is kept."""
    [node] = sentinel_nodes(failing_site.hosts, failing_site.services, None)
    caller = connect([node])
    caller.call(ROLE)
    old = failing_site.master()
    failing_site.sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster")
    new = failing_site.wait_for_failover(old)
    assert node.find() == Place(HOST, new.port)
    assert caller.call(("CONFIG", "GET", "port"))[0][1] == b"%d" % new.port


# How often the Sentinels are asked ----------------------------------------------------------


def test_what_the_sentinels_said_is_used_again_within_the_interval(tmp_path, connect):
    with Server(tmp_path) as master, SentinelServer(tmp_path, {"only": master}) as sentinel:
        hosts, services = [sentinel.place], ["only"]
        kept = sentinel_nodes(hosts, services, None, refresh_interval=3600)
        asked = sentinel_nodes(hosts, services, None)
        connect(kept).call(ROLE), connect(asked).call(ROLE)
        sentinel.kill()
        assert role(connect(kept)) == "master"
        with pytest.raises(LayerUnavailable, match="Nobody knows where only"):
            connect(asked).call(ROLE)


# What cannot be used ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "services", "reason"),
    [
        (["redis://localhost:26379"], ["a"], "names the Sentinels by name and port"),
        ([("localhost", 26379), "b:1"], ["a"], "names the Sentinels by name and port"),
        ("localhost:26379", ["a"], "hosts is a list: .* not a str"),
        ([], ["a"], "names no server"),
        ([("localhost", "26379")], ["a"], "holds a tuple that is neither"),
        (None, None, "redis-cli -p 26379 sentinel masters"),
        ([("localhost", 1234)], [], "redis-cli -p 1234 sentinel masters"),
        (None, "mymaster", "services is a list: .* not a str"),
        (None, {"mymaster"}, "services is a list: .* not a set"),
        (None, ["a", 7], "services holds the names of masters, not 7"),
        (None, [b"a"], "services holds the names of masters, not b'a'"),
        (None, ["a", "b", "a"], "services names 'a' twice"),
    ],
)
def test_hosts_and_services_that_cannot_be_used_are_refused(hosts, services, reason):
    with pytest.raises(ValueError, match=reason):
        sentinel_nodes(hosts, services, None)


@pytest.mark.parametrize("interval", [-1, "5", None, True])
def test_an_interval_is_a_number_of_seconds(interval):
    with pytest.raises(ValueError, match="sentinel_refresh_interval must be seconds"):
        sentinel_nodes(None, ["a"], None, refresh_interval=interval)


def test_sentinels_share_the_socket_options_but_not_the_password():
    options = {"socket_keepalive": False, "password": "hunter2"}
    [node] = sentinel_nodes(None, ["a"], options)
    [guide] = node._guides._nodes
    assert guide.options["socket_keepalive"] is False
    assert "password" not in guide.options
    assert node.options["password"] == "hunter2"
