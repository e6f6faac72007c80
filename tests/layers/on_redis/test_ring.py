"""The hosts option: every form of it connects, bad ones say why, and no password is shown."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter

import pytest
import redis
from redis._parsers.base import BaseParser

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.names import random_letters
from channels_classic.layers.on_redis.ring import Place, is_misplaced, nodes, owner
from channels_classic.layers.redis import RedisChannelLayer
from tests.redis_topologies import Server

SECRET = "hunter2:@/?"


def use(layer: RedisChannelLayer) -> None:
    """Send and receive one message, from a thread and from an event loop."""

    async def on_a_loop() -> None:
        await layer.send_async("ring", {"n": 2})
        assert await layer.receive_async(["ring"]) == ("ring", {"n": 2})
        await layer.close_async()

    try:
        layer.send("ring", {"n": 1})
        assert layer.receive(["ring"]) == ("ring", {"n": 1})
        asyncio.run(on_a_loop())
        layer.flush()
    finally:
        layer.close()


@pytest.fixture
def prefix() -> str:
    return f"{random_letters(8)}:"


@pytest.fixture
def with_users(own_redis):
    """A Redis that lets in nobody but alice and those who know the password."""
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client:
        for name in ("alice", "default"):
            client.acl_setuser(
                name,
                enabled=True,
                reset_passwords=True,
                passwords=[f"+{SECRET}"],
                keys=["*"],
                channels=["*"],
                categories=["+@all"],
            )
    return own_redis


# Every form connects ----------------------------------------------------------------------


def test_a_unix_socket(redis_server, prefix):
    layer = RedisChannelLayer(hosts=[redis_server.url], prefix=prefix)
    use(layer)
    assert layer.shards[0].node.name == redis_server.url


def test_a_database_of_its_own(redis_server, prefix):
    first, second = (
        RedisChannelLayer(hosts=[f"{redis_server.url}?db={number}"], prefix=prefix)
        for number in (0, 3)
    )
    second.send("a", {})
    assert first.receive(["a"]) == (None, None)
    assert second.receive(["a"]) == ("a", {})
    second.flush()
    first.close()
    second.close()


def test_a_port_as_tuple_and_as_url(own_redis, prefix):
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        client.config_set("port", port)
    for host in (("127.0.0.1", port), ["127.0.0.1", port], f"redis://127.0.0.1:{port}/1"):
        layer = RedisChannelLayer(hosts=(host,), prefix=prefix)
        use(layer)
        assert f"127.0.0.1:{port}" in str(layer)


def test_tls(tls_redis, prefix):
    port, certificate = tls_redis
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    layer = RedisChannelLayer(hosts=[url], prefix=prefix)
    use(layer)
    assert str(layer) == f"RedisChannelLayer(rediss://127.0.0.1:{port}/0)"
    options = {"ssl_ca_certs": str(certificate)}
    hosts = [f"rediss://127.0.0.1:{port}"]
    use(RedisChannelLayer(hosts=hosts, prefix=prefix, connection_kwargs=options))
    options["ssl"] = True
    hosts = [("127.0.0.1", port)]
    use(RedisChannelLayer(hosts=hosts, prefix=prefix, connection_kwargs=options))


def test_tls_trusts_nobody_unasked(tls_redis, prefix):
    port, _ = tls_redis
    layer = RedisChannelLayer(hosts=[f"rediss://127.0.0.1:{port}"], prefix=prefix)
    with pytest.raises(LayerUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        layer.send("a", {})
    with pytest.raises(LayerUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(layer.send_async("a", {}))


def test_a_user_with_a_password(with_users, prefix):
    quoted = "hunter2%3A%40%2F%3F"
    path = f"{with_users.folder}/redis.sock"
    for hosts, options in (
        ([f"unix://alice:{quoted}@{path}"], None),
        ([f"unix://:{quoted}@{path}"], None),
        ([f"unix://{path}"], {"username": "alice", "password": SECRET}),
    ):
        layer = RedisChannelLayer(hosts=hosts, prefix=prefix, connection_kwargs=options)
        use(layer)
        node = layer.shards[0].node
        assert "hunter2" not in f"{layer} {node.name} {layer!r} {node!r}"
        assert "alice" not in str(layer)


def test_options_of_redis_py_are_handed_on(redis_server, prefix):
    options = {"socket_connect_timeout": 2, "client_name": "shop", "decode_responses": True}
    layer = RedisChannelLayer(hosts=[redis_server.url], prefix=prefix, connection_kwargs=options)
    [clients] = layer.shards[0].call(("CLIENT", "LIST"))
    assert b"name=shop" in clients
    use(layer)


# Who may not ------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["", "alice:wrong-hunter2@", "nobody:hunter2@"])
def test_who_is_not_let_in_is_told_so_without_the_password(with_users, prefix, user, caplog):
    hosts = [f"unix://{user}{with_users.folder}/redis.sock"]
    layer = RedisChannelLayer(hosts=hosts, prefix=prefix)
    with pytest.raises(LayerUnavailable, match="refuses the user or password") as caught:
        layer.send("a", {})
    assert not caught.value.in_doubt
    with pytest.raises(LayerUnavailable, match="refuses the user or password"):
        asyncio.run(layer.send_async("a", {}))
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__} {caplog.text}"


def test_a_user_without_rights_is_told_which(with_users, prefix):
    with redis.Redis.from_url(with_users.url, password=SECRET) as client:
        client.acl_setuser("bob", enabled=True, nopass=True, keys=["*"], categories=["+@read"])
    layer = RedisChannelLayer(hosts=[f"unix://bob:x@{with_users.folder}/redis.sock"], prefix=prefix)
    with pytest.raises(LayerUnavailable, match="no permissions"):
        layer.send("a", {})


def test_a_server_that_is_not_there_is_named(tmp_path, prefix):
    layer = RedisChannelLayer(hosts=[f"unix://:hunter2@{tmp_path}/none.sock"], prefix=prefix)
    with pytest.raises(LayerUnavailable) as caught:
        layer.send("a", {})
    assert str(caught.value).startswith(f"Redis at unix://{tmp_path}/none.sock does not answer (")
    assert not caught.value.in_doubt
    assert "hunter2" not in str(caught.value)
    with pytest.raises(LayerUnavailable, match="does not answer"):
        asyncio.run(layer.send_async("a", {}))


# What is no host --------------------------------------------------------------------------


def test_without_hosts_it_is_the_local_redis():
    assert nodes(None, None)[0].name == "localhost:6379"


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ("redis://:hunter2@localhost", "hosts is a list: .* not a str"),
        (b"redis://:hunter2@localhost", "hosts is a list: .* not a bytes"),
        ({"hunter2"}, "hosts is a list: .* not a set"),
        (7, "hosts is a list: .* not a int"),
        ([], "hosts names no server"),
        ([("a", 1), ("b", 1), "redis://a:1/0"], "names redis://a:1/0 twice"),
        (["unix:///run/a?db=2", "unix://:hunter2@/run/a?db=2"], "names unix:///run/a twice"),
        ([("a", "6379")], "holds a tuple that is neither"),
        ([("a", 0)], "holds a tuple that is neither"),
        ([("a", 65536)], "holds a tuple that is neither"),
        ([("a", 6379, "hunter2")], "holds a tuple that is neither"),
        ([{"address": "redis://:hunter2@localhost"}], "holds a dict that is neither"),
        ([b"redis://:hunter2@localhost"], "holds a bytes that is neither"),
        (["user:hunter2@localhost"], "holds a str that is neither"),
        (["http://:hunter2@localhost"], r"must specify one of the following schemes \(redis://"),
        (["redis://:hunter2@localhost:port"], "the port is not one, or the password holds"),
        (["redis://:hunter2@localhost:99999"], "the port is not one"),
        (["redis://:hunter2/x@localhost:1"], "the port is not one, or the password holds"),
        (["redis://:hunter2@localhost?db=first"], "Invalid value for 'db'"),
        (["redis://:hunter2@localhost?nope=1"], "unexpected keyword argument 'nope'"),
        (
            ["redis://:hunter2@localhost?socket_timeout=9"],
            "socket_timeout cannot be set: the layer",
        ),
    ],
)
def test_what_is_no_host_is_refused_at_once_and_not_shown(hosts, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        RedisChannelLayer(hosts=hosts)
    assert "hunter2" not in str(caught.value)


def test_an_option_that_redis_py_does_not_know_is_refused_at_once():
    with pytest.raises(ValueError, match="unexpected keyword argument 'colour'"):
        RedisChannelLayer(connection_kwargs={"colour": "red"})


def test_a_prefix_is_a_text():
    with pytest.raises(ValueError, match="prefix must be a str"):
        RedisChannelLayer(prefix=b"asgi:")


@pytest.mark.parametrize("name", ["socket_timeout", "protocol", "retry", "retry_on_timeout"])
def test_an_option_that_would_have_no_effect_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} cannot be set: the layer "):
        nodes(None, {name: None})


@pytest.mark.parametrize("seconds", [None, 0, -1, "3"])
def test_the_time_for_a_connect_is_bounded(seconds):
    with pytest.raises(ValueError, match="socket_connect_timeout must be a number above 0"):
        nodes(None, {"socket_connect_timeout": seconds})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (("redis.example", 6380), "redis.example:6380"),
        ("redis://redis.example:6380/2", "redis://redis.example:6380/2"),
        ("redis://:p%40ss@redis.example", "redis://redis.example"),
        ("redis://alice:p@ss@redis.example:1", "redis://redis.example:1"),
        ("redis://redis.example/1?password=p@ss", "redis://redis.example/1"),
        ("rediss://alice:pass@[::1]:6380", "rediss://[::1]:6380"),
        ("unix://alice:pass@/run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_a_server_is_called_by_its_address(host, name):
    assert nodes([host], None)[0].name == name


# Several shards -----------------------------------------------------------------------------


def test_every_host_is_a_shard_in_order():
    hosts = [("a", 1), ("a", 2), "redis://a:1/1", "unix:///run/a", "unix:///run/a?db=1"]
    assert [node.name for node in nodes(hosts, None)] == [
        "a:1",
        "a:2",
        "redis://a:1/1",
        "unix:///run/a",
        "unix:///run/a",
    ]


def test_a_process_has_one_owner_with_all_its_connections():
    for count in (1, 2, 3, 10):
        owners = {owner(f"server.reply.abc!{local}", count) for local in ("", "x", "y", "z")}
        assert len(owners) == 1


def test_owners_are_those_of_channels_1():
    names = ["chat", "app.room.7", "websocket.send?abc", "daphne.response.xyz!"]
    assert [owner(name, 3) for name in names] == [0, 1, 2, 2]


def test_names_are_spread_over_all_shards():
    for count in (2, 3, 5):
        shares = Counter(owner(f"group-{number}", count) for number in range(3000))
        assert sorted(shares) == list(range(count))
        assert min(shares.values()) > 0.8 * 3000 / count


# Connections ----------------------------------------------------------------------------------


def test_a_connection_over_tcp_is_kept_alive(tmp_path):
    with Server(tmp_path) as server:
        [node] = nodes([server.place], None)
        connection = node.connect(None)
        connection.connect()
        descriptor = os.dup(connection._sock.fileno())
        with socket.socket(fileno=descriptor) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        connection.disconnect()


def test_a_node_at_another_place_lets_in_the_same_way():
    [node] = nodes(["rediss://alice:secret@a:1"], {"ssl_cert_reqs": "none"})
    for connection in (
        node.at(Place("b", 2)).connect(None),
        node.at(Place("b", 2)).connect_async(None),
    ):
        assert (connection.host, connection.port) == ("b", 2)
        assert (connection.username, connection.password) == ("alice", "secret")
        assert type(connection).__name__ == "SSLConnection"
    assert node.connect(None).host == "a"
    assert node.at(Place("b", 2)).name == "b:2"


# Errors that say: not here, or not now --------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("READONLY You can't write against a read only replica.", True),
        ("MOVED 1584 127.0.0.1:7001", True),
        ("ASK 1584 127.0.0.1:7001", True),
        ("TRYAGAIN Multiple keys request during rehashing of slot", True),
        ("CLUSTERDOWN Hash slot not served", True),
        ("MASTERDOWN Link with MASTER is down", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("UNBLOCKED force unblock from blocking operation, instance state changed", True),
        ("UNBLOCKED client unblocked via CLIENT UNBLOCK", False),
        # Redis 6.2, inside a script
        ("ERR Error running script (call to f_1): @user_script:1: -READONLY You can't", True),
        ("ERR Error running script (call to f_1): @user_script:1: -OOM command not", False),
        ("ERR unknown command 'NONSENSE'", False),
        ("NOSCRIPT No matching script.", False),
        ("NOGROUP No such key", False),
        ("OOM command not allowed when used memory > 'maxmemory'.", False),
    ],
)
def test_errors_of_the_wrong_server_are_told_from_the_others(line, expected):
    assert is_misplaced(BaseParser.parse_error(line)) is expected
