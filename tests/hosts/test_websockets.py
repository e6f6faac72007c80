"""WebSockets under any ASGI server: what the workers are told, and what the client gets."""

from __future__ import annotations

import itertools
import socket

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.acceptance.processes import wait_until

_NUMBERS = itertools.count(1)
MIB = 1024**2


def opened(host, path="/echo", **options):
    """A WebSocket; a context manager."""
    address = f"ws://127.0.0.1:{host.port}{path}"
    return connect(address, open_timeout=30, max_size=2 * MIB, **options)


def only() -> str:
    """A path, or a group, of which nobody else knows."""
    return f"only{next(_NUMBERS)}"


def told(host, path) -> list[str]:
    """What the consumers have been told of the end of sockets on ``path``."""
    start = f"disconnected /{path} "
    lines = host.process.output().splitlines()
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def refusal(host, path):
    """How the server answers the handshake of a socket that it does not open."""
    with pytest.raises(InvalidStatus) as raised:
        opened(host, path)
    return raised.value.response


# Handshakes ---------------------------------------------------------------------------------------


def test_a_consumer_accepts_a_socket(host):
    with opened(host) as client:
        client.send("hello")
        assert client.recv(timeout=30) == "hello"


def test_the_first_offer_that_is_known_is_spoken(host):
    with opened(host, subprotocols=["a", "c", "b"]) as client:
        assert client.subprotocol == "c"


def test_without_a_known_offer_no_subprotocol_is_spoken(host):
    with opened(host, subprotocols=["a"]) as client:
        assert client.subprotocol is None


def test_a_refused_socket_is_403(host):
    assert refusal(host, "/refused").status_code == 403


def test_a_refused_socket_is_not_disconnected(host):
    path = only()
    refusal(host, "/refused")
    with opened(host, f"/{path}"):
        pass
    wait_until(lambda: told(host, path), 30)
    assert told(host, "refused") == []


def test_without_a_worker_the_handshake_is_503(host):
    response = refusal(host, "/alone/echo")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


# Messages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["text ✓", b"\x00\xff"], ids=["text", "bytes"])
def test_a_message_comes_back(host, message):
    with opened(host) as client:
        client.send(message)
        assert client.recv(timeout=30) == message


@pytest.mark.parametrize("message", ["", b""], ids=["text", "bytes"])
def test_an_empty_message_is_a_message(host, message):
    with opened(host) as client:
        client.send(message)
        client.send("the next")
        assert client.recv(timeout=30) == message


def test_messages_keep_their_order(host):
    messages = [f"message {number}" for number in range(50)]
    with opened(host) as client:
        for each in messages:
            client.send(each)
        assert [client.recv(timeout=30) for _ in messages] == messages


def test_a_message_of_a_mebibyte_comes_back(host):
    with opened(host, compression=None) as client:
        client.send(b"x" * MIB)
        assert client.recv(timeout=30) == b"x" * MIB


def test_a_group_reaches_its_members(host):
    group = only()
    with opened(host) as one, opened(host) as two:
        for each in (one, two):
            each.send(f"join {group}")
            assert each.recv(timeout=30) == "joined"
        one.send(f"tell {group} all of you")
        assert [each.recv(timeout=30) for each in (one, two)] == ["all of you"] * 2


# The end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", [(1000, 3000, 4999), (1001, 1011)], ids=["usual", "others"])
def test_a_client_gets_the_code_of_a_consumer(host, codes):
    assert [code_of_a_consumer(host, code) for code in codes] == list(codes)


def test_a_code_that_the_host_does_not_know_closes_all_the_same(host):
    assert code_of_a_consumer(host, 1011) in (1011, 1000)


def code_of_a_consumer(host, code, path="echo"):
    """What the client hears when a consumer closes with ``code``."""
    with opened(host, f"/{path}") as client:
        client.send(f"close {code}")
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=5)
    return raised.value.rcvd and raised.value.rcvd.code


def test_consumers_hear_the_code_of_the_client(host):
    paths = {only(): code for code in (1000, 1001, 3000, 4999)}
    for path, code in paths.items():
        with opened(host, f"/{path}") as client:
            client.close(code)
    heard = [wait_until(lambda each=path: told(host, each), 30) for path in paths]
    assert heard == [[str(code)] for code in paths.values()]


def test_a_close_frame_without_a_code_is_none(host):
    path = only()
    with opened(host, f"/{path}") as client:
        client.protocol.send_close()
        client.socket.sendall(b"".join(client.protocol.data_to_send()))
        assert wait_until(lambda: told(host, path), 30) == ["None"]


def test_a_connection_that_breaks_is_1006(host):
    path = only()
    with opened(host, f"/{path}") as client:
        client.socket.shutdown(socket.SHUT_RDWR)
        assert wait_until(lambda: told(host, path), 30) == ["1006"]


def test_consumers_hear_of_an_end_once(host):
    path, after = only(), only()
    code_of_a_consumer(host, 4000, path)
    wait_until(lambda: told(host, path), 30)
    with opened(host, f"/{after}"):
        pass
    wait_until(lambda: told(host, after), 30)
    assert len(told(host, path)) == 1
