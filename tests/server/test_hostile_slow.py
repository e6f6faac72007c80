"""Clients that take their time: each is ended at its deadline, whatever it trickles."""

from __future__ import annotations

import contextlib
import select
import ssl
import time

import pytest

from tests.acceptance.processes import wait_until
from tests.certificates import make_certificate
from tests.server import hostile
from tests.server.wire import (
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    chunk,
    frame,
    handshake,
    post,
    request,
)

DEADLINES = [
    *("--head-timeout", 1),
    *("--keep-alive", 1),
    *("--write-timeout", 0.5),
    *("--websocket-connect-timeout", 0.5),
    *("--close-timeout", 0.5),
    *("--ping-interval", 0.5),
    *("--ping-timeout", 0.5),
]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with hostile.attacked(tmp_path_factory.mktemp("slow"), *DEADLINES, grace=0.5) as found:
        yield found


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certfile, keyfile = make_certificate(folder)
    options = [*DEADLINES, "--ssl-certfile", certfile, "--ssl-keyfile", keyfile]
    with hostile.attacked(folder, *options) as found:
        yield found


def trickle(client, data, size=1):
    """Send ``data`` little by little, until the server says something or all is sent."""
    for start in range(0, len(data), size):
        if select.select([client.sock], [], [], 0.04)[0]:
            return
        with contextlib.suppress(OSError):
            client.sock.send(data[start : start + size])


# Before there is a request ------------------------------------------------------------------------


def test_a_silent_client_is_ended_in_silence(target):
    with target.attack() as client:
        assert client.remains() == b""


def test_a_client_that_sends_nothing_but_empty_lines_is_ended(target):
    with target.attack() as client:
        trickle(client, b"\r\n" * 1000, size=2)
        assert client.statuses() in ([], [400], [408])


HEADS = {
    "one byte": b"G",
    "a request line": b"GET /hostile HTTP/1.1\r\n",
    "half a header": b"GET /hostile HTTP/1.1\r\nHost: a",
    "all but the end": request(path="/hostile")[:-2],
    "all but the last byte": request(path="/hostile")[:-1],
    "half a handshake": handshake("/hostile")[:-4],
}
LONG = request(*[f"X-{n}: {'a' * 20}" for n in range(80)], path="/hostile")
TRICKLES = {
    "a byte at a time": (LONG, 1),
    "a line at a time": (LONG, 27),
    "a long path": (b"GET /hostile" + b"x" * 2000, 7),
    "a handshake": (handshake("/hostile", X_A="x" * 2000), 2),
}


@pytest.mark.parametrize("data", HEADS.values(), ids=HEADS)
def test_a_head_that_is_not_finished_is_408(target, data):
    with target.attack() as client:
        client.send(data)
        assert client.statuses() == [408]
    assert "/hostile" not in client.log()


@pytest.mark.parametrize(("data", "size"), TRICKLES.values(), ids=TRICKLES)
def test_a_head_that_trickles_is_408_although_it_never_stops(target, data, size):
    with target.attack() as client:
        trickle(client, data, size)
        assert client.statuses() == [408]
    assert "/hostile" not in client.log()


def test_a_second_head_that_trickles_is_408(target):
    with target.attack() as client:
        client.send(request())
        assert client.answer().status == 200
        trickle(client, LONG)
        assert client.statuses() == [408]
    assert "/hostile" not in client.log()


def test_a_second_head_that_came_with_the_first_request_has_its_deadline_too(target):
    with target.attack() as client:
        client.send(request() + LONG[:10])
        assert client.statuses() == [200, 408]


def test_a_connection_that_is_kept_for_nothing_is_ended(target):
    with target.attack() as client:
        client.send(request())
        assert client.statuses() == [200]


# Bodies -------------------------------------------------------------------------------------------

BODIES = {
    "none of it": post("Content-Length: 100", path="/hostile"),
    "some of it": post("Content-Length: 100", body=b"12345", path="/hostile"),
    "all but the last byte": post("Content-Length: 6", body=b"12345", path="/hostile"),
    "no chunk": post("Transfer-Encoding: chunked", path="/hostile"),
    "a chunk and no more": post("Transfer-Encoding: chunked", body=chunk(b"x"), path="/hostile"),
    "half a chunk": post("Transfer-Encoding: chunked", body=b"5\r\n123", path="/hostile"),
    "no trailer": post("Transfer-Encoding: chunked", body=b"0\r\n", path="/hostile"),
    "leave to go on": post("Content-Length: 100", "Expect: 100-continue", path="/hostile"),
}
BODY_TRICKLES = {
    "with a length": (post("Content-Length: 1000", path="/hostile"), bytes(1000), 1),
    "in chunks": (post("Transfer-Encoding: chunked", path="/hostile"), chunk(b"x") * 1000, 6),
    "in the size of a chunk": (post("Transfer-Encoding: chunked", path="/hostile"), b"0" * 1000, 1),
    "in an extension": (
        post("Transfer-Encoding: chunked", body=b"1;a=", path="/hostile"),
        b"x" * 1000,
        1,
    ),
    "in trailers": (
        post("Transfer-Encoding: chunked", body=b"0\r\n", path="/hostile"),
        b"X-A: b\r\n" * 200,
        8,
    ),
}


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
def test_a_body_that_does_not_come_is_408(target, data):
    with target.attack() as client:
        client.send(data)
        assert [each for each in client.statuses() if each != 100] == [408]
    assert "ran POST" not in client.log()


@pytest.mark.parametrize(("head", "data", "size"), BODY_TRICKLES.values(), ids=BODY_TRICKLES)
def test_a_body_that_trickles_is_408_although_it_never_stops(target, head, data, size):
    with target.attack() as client:
        client.send(head)
        trickle(client, data, size)
        assert client.statuses() == [408]
    assert "ran POST" not in client.log()


# Readers ------------------------------------------------------------------------------------------


def test_a_client_that_does_not_read_its_answer_is_cut_off(target):
    with target.attack(receive_buffer=4096) as client:
        client.send(request(path="/long"))
        target.forgets_all()
        wait_until(lambda: "left /long" in client.log(), hostile.PATIENCE)
    assert "finished /long" not in client.log()


def test_a_client_that_stops_to_read_its_answer_is_cut_off(target):
    with target.attack(receive_buffer=4096) as client:
        client.send(request(path="/long"))
        assert client.sock.recv(100_000, 0x100)  # MSG_WAITALL
        target.forgets_all()
        wait_until(lambda: "left /long" in client.log(), hostile.PATIENCE)


def test_many_clients_that_do_not_read_are_cut_off(target):
    with target.crowd(3) as clients:
        for client in clients:
            client.send(request(path="/long"))
        target.serves_others()
        target.forgets_all()


def test_a_client_that_asks_again_and_again_and_does_not_read_is_cut_off(target):
    with target.attack(receive_buffer=4096) as client:
        client.pour(request(path="/message") * 100, 4 * 1024**2)
        target.forgets_all()


def test_a_client_that_reads_slowly_gets_all_of_it(target):
    with target.attack() as client:
        client.send(request("Connection: close", path="/medium"))
        received = 0
        while data := client.sock.recv(16 * 1024):
            received += len(data)
            assert not select.select([], [], [client.sock], 0.01)[2]
        assert received > 64 * 16 * 1024


# Sockets ------------------------------------------------------------------------------------------


def test_a_socket_that_answers_no_ping_is_ended(target):
    with target.socket("/idle") as client:
        assert client.close_code() in (1011, None)
        assert len(client.told("/idle")) == 1


PARTS_OF_FRAMES = {
    "one byte": frame(TEXT, b"hello")[:1],
    "a head": frame(TEXT, b"hello")[:6],
    "half a frame": frame(TEXT, b"hello")[:-2],
    "a fragment": frame(TEXT, b"hello", fin=False),
    "a ping in a message": frame(TEXT, b"a", fin=False) + frame(PING, b"p")[:-1],
}


@pytest.mark.parametrize("data", PARTS_OF_FRAMES.values(), ids=PARTS_OF_FRAMES)
def test_a_socket_that_finishes_no_frame_is_ended(target, data):
    with target.socket("/idle") as client:
        client.send(data)
        assert client.close_code() in (1011, None)
        assert len(client.told("/idle")) == 1


def test_a_socket_that_does_not_answer_a_close_is_ended(target):
    with target.socket("/raw") as client:
        client.send(frame(TEXT, b'[{"close": 4000}]'))
        while (received := client.frame()) is not None and received.opcode != CLOSE:
            pass
        assert received is not None
        assert client.remains() == b""


def test_a_socket_that_does_not_heed_a_close_is_ended(target):
    with target.socket("/raw") as client:
        client.send(frame(TEXT, b'[{"close": 4000}]'))
        deadline = time.monotonic() + hostile.PATIENCE
        while client.send(frame(TEXT, b"[]") * 20):
            assert time.monotonic() < deadline, "the server goes on to read"
            select.select([client.sock], [], [], 0.02)
        client.remains()


def test_a_socket_that_does_not_read_is_cut_off(target):
    with target.socket("/much", receive_buffer=4096) as client:
        client.send(frame(TEXT, b"400"))
        target.forgets_all()
        assert len(client.told("/much")) == 1


def test_a_socket_that_does_not_read_and_goes_on_to_write_is_cut_off(target):
    with target.socket("/echo", receive_buffer=4096) as client:
        client.pour(frame(TEXT, b"x" * 60_000), 8 * 1024**2)
        target.forgets_all()
        assert len(client.told("/echo")) == 1


def test_a_socket_that_reads_no_pongs_is_cut_off(target):
    with target.socket("/pongs", receive_buffer=4096) as client:
        client.pour(frame(PING, b"x" * 125) * 100, 8 * 1024**2)
        target.forgets_all()
        assert len(client.told("/pongs")) == 1


def test_fragments_that_trickle_do_not_make_a_socket_alive_for_ever(target):
    """A client must answer pings; fragments are a sign of life, as every frame is, until 1009."""
    with target.socket("/trickle") as client:
        client.send(frame(TEXT, b"a", fin=False))
        deadline = time.monotonic() + hostile.PATIENCE
        while client.send(frame(CONTINUATION, b"b", fin=False) * 20):
            assert time.monotonic() < deadline, "the server goes on to read"
            select.select([], [], [client.sock], 0.005)
        assert client.close_code() in (1009, 1011, None)


# All at once --------------------------------------------------------------------------------------


def test_many_slow_clients_at_once(target):
    kinds = [b"", *HEADS.values(), *BODIES.values(), request()]
    with target.crowd(150) as clients:
        for number, client in enumerate(clients):
            client.send(kinds[number % len(kinds)])
        target.serves_others()
        for client in clients:
            assert set(client.statuses()) <= {100, 200, 408}
        target.forgets_all()


# TLS ----------------------------------------------------------------------------------------------

HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(200)
HANDSHAKES = {
    "silent": b"",
    "one byte": b"\x16",
    "the head of a record": b"\x16\x03\x01\x02\x00",
    "half a hello": HELLO[:40],
    "a record without an end": b"\x16\x03\x01\x40\x00" + bytes(1000),
    "a hello that is none": HELLO,
    "a request": request(),
    "junk": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("data", HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_tls_handshake_that_is_never_finished_is_ended(behind_tls, data):
    with behind_tls.attack() as client:
        client.send(data)
        assert not client.remains().startswith(b"HTTP")  # an alert at most


def test_a_tls_client_hello_that_trickles_is_ended(behind_tls):
    with behind_tls.attack() as client:
        trickle(client, b"\x16\x03\x01\x40\x00" + bytes(2000))
        assert not client.remains().startswith(b"HTTP")


@pytest.mark.parametrize("data", [b"", request(path="/hostile")[:-2]], ids=["silent", "head"])
def test_a_client_that_is_slow_after_its_tls_handshake_is_ended(behind_tls, data):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with behind_tls.attack() as client, context.wrap_socket(client.sock) as client.sock:
        client.sock.sendall(data)
        assert client.statuses() == ([408] if data else [])


def test_many_tls_handshakes_that_are_never_finished(behind_tls):
    with behind_tls.crowd(100) as clients:
        for client in clients:
            client.send(HELLO[:40])
        behind_tls.serves_others()
        behind_tls.forgets_all()
