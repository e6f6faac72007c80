"""Clients that leave in the middle: nothing of them stays, and the consumers hear of it once."""

from __future__ import annotations

import pytest

from tests.acceptance.processes import wait_until
from tests.server import hostile
from tests.server.wire import (
    BINARY,
    CONTINUATION,
    PING,
    TEXT,
    chunk,
    close,
    frame,
    handshake,
    post,
    request,
)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    options = ["--max-body", 100_000, "--close-timeout", 0.5, "--write-timeout", 5]
    with hostile.attacked(tmp_path_factory.mktemp("resets"), *options) as found:
        yield found


TE = "Transfer-Encoding: chunked"
BEFORE_THE_END = {
    "nothing sent": b"",
    "one byte": b"G",
    "in the request line": b"GET /hos",
    "in a header": b"GET /hostile HTTP/1.1\r\nHost: 12",
    "between headers": b"GET /hostile HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "before a body": post("Content-Length: 5", path="/hostile"),
    "in a body": post("Content-Length: 5", body=b"123", path="/hostile"),
    "in a long body": post("Content-Length: 90000", body=bytes(80_000), path="/hostile"),
    "in the size of a chunk": post(TE, body=b"1", path="/hostile"),
    "in a chunk": post(TE, body=b"5\r\n123", path="/hostile"),
    "between chunks": post(TE, body=chunk(b"12345"), path="/hostile"),
    "in a trailer": post(TE, body=b"0\r\nX-A: b", path="/hostile"),
    "in a handshake": handshake("/hostile")[:-10],
    "in TLS to a plain port": bytes.fromhex("1603010200010001fc0303"),
}


@pytest.mark.parametrize("data", BEFORE_THE_END.values(), ids=BEFORE_THE_END)
@pytest.mark.parametrize("leave", ["reset", "half_close"])
def test_a_client_that_leaves_before_its_request_is_complete(target, data, leave):
    with target.attack() as client:
        client.send(data)
        getattr(client, leave)()
        target.forgets_all()
        assert leave == "reset" or client.statuses() in ([], [400], [408])
    assert "/hostile" not in ran(client)


def test_a_client_that_resets_while_its_answer_is_awaited(target):
    with target.attack() as client:
        client.send(request(path="/never"))
        wait_until(lambda: "ran GET '/never'" in client.log(), hostile.PATIENCE)
        client.reset()
        target.forgets_all()
        wait_until(lambda: "left '/never'" in client.log(), hostile.PATIENCE)
    assert client.log().count("left '/never'") == 1


def test_a_client_that_says_no_more_while_its_answer_is_awaited(target):
    """It may be taken for one that has left, or be answered; it does not stay."""
    with target.attack() as client:
        client.send(request("Connection: close"))
        client.half_close()
        assert client.statuses() in ([200], [])
        target.forgets_all()


def test_a_client_that_resets_with_requests_waiting(target):
    with target.attack() as client:
        client.send(request(path="/never") + request(path="/hostile") * 20)
        wait_until(lambda: "ran GET '/never'" in client.log(), hostile.PATIENCE)
        client.reset()
        target.forgets_all()
        wait_until(lambda: "left '/never'" in client.log(), hostile.PATIENCE)
    assert "/hostile" not in ran(client)


@pytest.mark.parametrize("received", [1, 100_000])
def test_a_client_that_resets_in_the_middle_of_the_answer(target, received):
    with target.attack() as client:
        client.send(request(path="/long"))
        assert client.sock.recv(received, 0x100)  # MSG_WAITALL
        client.reset()
        target.forgets_all()
        wait_until(lambda: "left /long" in client.log(), hostile.PATIENCE)
    assert "finished /long" not in client.log()


def test_a_client_that_resets_after_its_request_was_refused(target):
    with target.attack() as client:
        client.send(post("Content-Length: 1000000", body=bytes(50_000)))
        assert client.answer().status == 413
        client.reset()
        target.forgets_all()


def test_a_client_that_resets_a_connection_that_was_kept(target):
    with target.attack() as client:
        client.send(request())
        assert client.answer().status == 200
        client.reset()
        target.forgets_all()


def test_many_clients_that_connect_and_reset(target):
    with target.crowd(0):
        for _ in range(300):
            hostile.Attacker(target, target.connect()).reset()
        target.forgets_all()


def test_many_clients_that_ask_and_reset(target):
    with target.crowd(100) as clients:
        for client in clients:
            client.send(request(path="/hello"))
            client.reset()
        target.forgets_all()


def test_many_clients_that_ask_and_say_no_more(target):
    with target.crowd(100) as clients:
        for client in clients:
            client.send(request("Connection: close"))
            client.half_close()
        for client in clients:
            assert client.statuses() in ([200], [])
        target.forgets_all()


# Sockets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["reset", "half_close"])
def test_a_client_that_leaves_while_its_handshake_is_awaited(target, leave):
    with target.attack() as client:
        client.send(handshake("/never"))
        wait_until(lambda: "connecting '/never'" in client.log(), hostile.PATIENCE)
        getattr(client, leave)()
        target.forgets_all()
    assert "disconnected '/never'" not in client.log()


IN_A_SOCKET = {
    "nothing sent": b"",
    "one byte of a frame": b"\x81",
    "in the head of a frame": frame(BINARY, bytes(70_000))[:5],
    "in the mask": frame(TEXT, b"hello")[:4],
    "in the payload": frame(TEXT, b"hello")[:-1],
    "in a long payload": frame(BINARY, bytes(500_000))[:-1],
    "in a fragmented message": frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False),
    "after a message": frame(TEXT, b"hello"),
    "after many messages": frame(TEXT, b"hello") * 50,
    "after a ping": frame(PING, b"hello"),
    "after a protocol error": frame(3),
}


@pytest.mark.parametrize("data", IN_A_SOCKET.values(), ids=IN_A_SOCKET)
@pytest.mark.parametrize("leave", ["reset", "half_close"])
def test_a_socket_whose_client_leaves_is_disconnected_once(target, data, leave):
    with target.socket("/left") as client:
        client.send(data)
        getattr(client, leave)()
        target.forgets_all()
    [code] = client.told("/left")
    assert code == "1006" or data == frame(3)


@pytest.mark.parametrize("leave", ["reset", "half_close"])
def test_a_client_that_leaves_after_its_close_frame_is_disconnected_with_its_code(target, leave):
    with target.socket("/left") as client:
        client.send(close(4001))
        getattr(client, leave)()
        target.forgets_all()
    [code] = client.told("/left")
    assert code == "4001" or (leave, code) == ("reset", "1006")  # the frame may be lost with it


def test_a_client_that_resets_while_the_server_closes(target):
    with target.socket("/raw") as client:
        client.send(frame(TEXT, b'[{"close": 4002}]'))
        assert client.frame().payload[:2] == (4002).to_bytes(2, "big")
        client.reset()
        target.forgets_all()
    assert len(client.told("/raw")) == 1


def test_a_client_that_resets_while_much_is_sent_to_it(target):
    with target.socket("/much", receive_buffer=4096) as client:
        client.send(frame(TEXT, b"200"))
        assert client.frame() is not None
        client.reset()
        target.forgets_all()
    assert len(client.told("/much")) == 1


def ran(client):
    """What consumers were asked for, without the access log."""
    lines = client.log().splitlines()
    return "\n".join(line for line in lines if line.startswith(("ran", "connecting")))
