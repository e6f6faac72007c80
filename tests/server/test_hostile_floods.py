"""Floods: more of everything than a client needs. The server takes its share, and no more."""

from __future__ import annotations

import contextlib

import pytest

from tests.acceptance.processes import wait_until
from tests.server import hostile
from tests.server.wire import BINARY, CLOSE, PING, PONG, TEXT, frame, handshake, post, request

MIB = 1024**2
RATE = 200


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    options = ["--control-rate", 50, "--max-lane", 20, "--close-timeout", 0.5]
    # That a client has gone that is not read from shows when something is written to it.
    options += ["--ping-interval", 0.5, "--ping-timeout", 0.5, "--http-timeout", 2]
    options += ["--max-body", 100_000, "--max-head", 8192, "--max-fields", 50]
    with hostile.attacked(tmp_path_factory.mktemp("floods"), *options) as found:
        yield found


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A server that has room for few, and wants to hear little."""
    options = ["--max-connections-per-address", 20, "--message-rate", RATE, "--close-timeout", 0.5]
    with hostile.attacked(tmp_path_factory.mktemp("limited"), *options) as found:
        yield found


# Requests -----------------------------------------------------------------------------------------


def test_pipelined_requests_are_all_answered_or_the_connection_ends(target):
    """A server may hold so many and no more: those that it has read it answers, in their order."""
    with target.attack() as client:
        client.send(request() * 500 + request("Connection: close", path="/length"))
        statuses = client.statuses()
        assert set(statuses) == {200}
        assert len(statuses) <= 501


def test_pipelined_requests_that_nobody_reads_the_answers_of(target):
    with target.attack(receive_buffer=4096) as client:
        assert client.pour(request(path="/never") * 100, 64 * MIB) < 16 * MIB
        target.serves_others()
        client.reset()
        target.forgets_all()


def test_pipelined_bodies_behind_a_request_that_waits(target):
    body = post("Content-Length: 60000", body=bytes(60_000), path="/hostile")
    with target.attack() as client:
        client.send(request(path="/never"))
        assert client.pour(body, 64 * MIB) < 16 * MIB
        client.reset()
        target.forgets_all()


def test_junk_behind_a_request_that_waits(target):
    with target.attack() as client:
        client.send(request(path="/never"))
        assert client.pour(b"\x00" * 65536, 64 * MIB) < 16 * MIB
        client.reset()
        target.forgets_all()


def test_empty_lines_behind_a_request_that_waits(target):
    with target.attack() as client:
        client.send(request(path="/never"))
        assert client.pour(b"\r\n" * 32768, 64 * MIB) < 32 * MIB
        client.reset()
        target.forgets_all()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\r\n\r\n", 400),
        (request(host=False), 400),
        (request(*["X: a"] * 60), 431),
        (post("Content-Length: 1000000"), 413),
        (request(version="HTTP/3.0"), 505),
    ],
    ids=["junk", "no Host", "fields", "body", "version"],
)
def test_many_bad_requests_are_refused_and_logged_sparingly(target, data, status):
    with target.attack() as client:
        for _ in range(100):
            with contextlib.closing(target.connect()) as sock:
                other = hostile.Attacker(target, sock)
                other.send(data)
                assert other.answer().status in (status, 400)
    said = [line for line in client.log().splitlines() if "WARNING" in line or "ERROR" in line]
    assert len(said) < 10


# Connections --------------------------------------------------------------------------------------


def test_many_silent_connections(target):
    with target.crowd(300):
        target.serves_others()


def test_many_connections_that_come_and_go(target):
    with target.crowd(0):
        for _ in range(500):
            target.connect().close()
        target.forgets_all()


def test_many_handshakes_that_wait(target):
    with target.crowd(100) as clients:
        for client in clients:
            client.send(handshake("/never"))
        target.serves_others()


def test_many_sockets_that_come_and_go(target):
    with target.crowd(100) as clients:
        for client in clients:
            client.send(handshake("/many"))
        for client in clients:
            assert client.answer().status == 101
        target.serves_others()
    target.forgets_all()


def test_more_connections_of_one_address_than_it_may_have_are_503(limited):
    with limited.crowd(20, source="127.0.0.2") as clients:
        others = [hostile.Attacker(limited, limited.connect(source="127.0.0.2")) for _ in range(50)]
        with contextlib.ExitStack() as stack:
            for other in others:
                stack.callback(other.sock.close)
            for other in others:
                answers = other.answers()
                assert [each.status for each in answers] in ([503], [])  # not all are told why
                assert not answers or answers[0].headers["retry-after"]
        limited.serves_others()
        clients[0].send(request())
        assert clients[0].answer().status == 200
    wait_until(lambda: not limited.holds(), hostile.PATIENCE)
    with limited.crowd(1, source="127.0.0.2") as [client]:
        client.send(request("Connection: close"))
        assert client.statuses() == [200]


def test_sockets_count_as_connections_of_their_address(limited):
    with limited.crowd(20, source="127.0.0.3") as clients:
        for client in clients:
            client.send(handshake())
            assert client.answer().status == 101
        with contextlib.closing(limited.connect(source="127.0.0.3")) as sock:
            assert hostile.Attacker(limited, sock).statuses() == [503]


# Sockets ------------------------------------------------------------------------------------------

CONTROL = {
    "pings": frame(PING) * 5000,
    "pings with a payload": frame(PING, b"x" * 125) * 5000,
    "pongs that nobody asked for": frame(PONG) * 5000,
    "pongs with a payload": frame(PONG, b"x" * 125) * 5000,
    "pings and pongs": (frame(PING) + frame(PONG)) * 2500,
    "pings in a message": frame(TEXT, b"a", fin=False) + frame(PING) * 5000,
    "pings between messages": (frame(PING, b"p") * 20 + frame(TEXT, b"a")) * 100,
}


@pytest.mark.parametrize("data", CONTROL.values(), ids=CONTROL)
def test_a_flood_of_control_frames_is_1008(target, data):
    with target.socket("/control") as client:
        client.send(data)
        assert client.close_code() == 1008
        target.forgets_all()
    assert len(client.told("/control")) == 1


@pytest.mark.parametrize("data", [b"", b"x"], ids=["empty", "of one byte"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "bytes"])
def test_a_flood_of_messages_is_1008(limited, opcode, data):
    with limited.socket("/messages") as client:
        client.send(frame(opcode, data) * (RATE * 20))
        assert client.close_code() == 1008
        limited.forgets_all()
    assert len(client.told("/messages")) == 1


@pytest.mark.parametrize("size", [0, 1, 60_000])
def test_messages_that_a_slow_consumer_cannot_take_stay_with_the_client(target, size):
    with target.socket("/blocked") as client:
        assert client.pour(frame(BINARY, bytes(size)) * (1 if size else 5000), 64 * MIB) < 16 * MIB
        target.serves_others()
        client.reset()
        target.forgets_all()


def test_pings_behind_messages_that_wait_are_not_piled_up(target):
    with target.socket("/blocked") as client:
        client.send(frame(TEXT, b"x") * 30)
        assert client.pour(frame(PING, b"x" * 125) * 100, 64 * MIB) < 16 * MIB
        client.reset()
        target.forgets_all()


def test_a_group_of_sockets_that_echo_as_fast_as_they_can(target):
    with target.crowd(10) as clients:
        for client in clients:
            client.send(handshake())
            assert client.answer().status == 101
        for client in clients:
            client.send(frame(TEXT, b"x" * 100) * 50)
        target.serves_others()
        for client in clients:
            assert [client.frame().payload for _ in range(50)] == [b"x" * 100] * 50


def test_close_frames_of_the_application_and_of_the_client_at_once(target):
    with target.socket("/raw") as client:
        client.send(frame(TEXT, b'[{"close": 4000}]') * 20 + frame(CLOSE, b"\x0f\xa1"))
        assert client.close_code() in (4000, 4001)
        target.forgets_all()
    assert len(client.told("/raw")) == 1
