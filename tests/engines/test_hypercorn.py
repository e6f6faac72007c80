"""The engine hypercorn: HTTP/2, and WebSockets over it."""

from __future__ import annotations

import sys

import pytest
from h2.errors import ErrorCodes

from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer
from channels_classic.server.engines.choice import make_engine
from channels_classic.server.options import BadOption, Limits, Listen
from tests.engines.http2 import Socket
from tests.engines.running import curl, run, running

# Which engine -------------------------------------------------------------------------------------


def test_without_its_extra_the_engine_says_how_to_install_it(monkeypatch):
    for name in [each for each in sys.modules if each.startswith(("hypercorn", ENGINE))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypercorn", None)
    with pytest.raises(BadOption) as raised:
        make_engine(InterfaceServer(InMemoryChannelLayer()), Listen(engine="hypercorn"), Limits())
    assert str(raised.value) == (
        "the engine hypercorn needs hypercorn: pip install 'channels-classic[http2]'"
    )


ENGINE = "channels_classic.server.engines.hypercorn"


def test_an_engine_that_does_not_exist_is_said_in_one_line():
    with pytest.raises(BadOption, match="engine must be one of uvicorn, hypercorn, not 'daphne'"):
        make_engine(InterfaceServer(InMemoryChannelLayer()), Listen(engine="daphne"), Limits())


# HTTP ---------------------------------------------------------------------------------------------


def test_http2_is_spoken_to_those_who_know(server):
    url = f"http://127.0.0.1:{server.port}/hello"
    assert curl(url, "--http2-prior-knowledge") == ["hello", "2 200"]


def test_http1_is_spoken_too(server):
    assert curl(f"http://127.0.0.1:{server.port}/hello") == ["hello", "1.1 200"]


@pytest.mark.parametrize(("option", "version"), [("--http2", "2"), ("--http1.1", "1.1")])
def test_over_tls_the_client_chooses(secure, certificate, option, version):
    url = f"https://127.0.0.1:{secure.port}/seen"
    body, outcome = curl(url, option, "--cacert", certificate[0])
    assert outcome == f"{version} 200"
    assert '"scheme": "https"' in body


def test_nobody_becomes_http2_by_an_upgrade(server):
    """Those in front of the server would not see what comes then."""
    assert curl(f"http://127.0.0.1:{server.port}/hello", "--http2") == ["hello", "1.1 200"]


def test_many_streams_on_few_connections(server):
    url = f"http://127.0.0.1:{server.port}/hello"
    shown = run("h2load", "-n", 300, "-c", 3, "-m", 20, url)
    assert "300 succeeded, 0 failed, 0 errored" in shown
    assert "status codes: 300 2xx" in shown


def test_bodies_of_any_size_come_and_go(server):
    with server.http2() as client:
        stream = client.ask("/seen", method="POST", end=False)
        client.upload(stream, bytes(1024**2))
        assert b'"length": 1048576' in client.answer(stream)[1]
        assert len(client.fetch("/big")[1]) == 3_200_000


def test_what_is_known_of_a_request_is_the_same(server):
    with server.http2() as client:
        cookies = [("cookie", "a=1"), ("cookie", "b=2")]
        body = client.fetch("/seen/caf%C3%A9?q=%20x", *cookies)[1].decode()
    for part in ('"path": "/seen/caf\\u00e9"', '"query": "q=%20x"', '"client": "127.0.0.1"'):
        assert part in body
    assert '"cookies": {"a": "1", "b": "2"}' in body


def test_the_engine_does_not_name_itself(server):
    with server.http2() as client:
        assert "server" not in client.head(client.ask("/hello"))


def test_an_answer_that_is_cut_short_is_reset(server):
    with server.http2() as client:
        stream = client.ask("/cut")
        assert client.reset_code(stream) == ErrorCodes.INTERNAL_ERROR
        assert client.body(stream) == b"the start"
        assert client.fetch("/hello") == ("200", b"hello")
    assert "Traceback" not in server.process.output()


def test_the_consumers_hear_of_a_stream_that_is_left(server):
    with server.http2() as client:
        stream = client.ask("/stream/never")
        server.process.wait_for_line("^asked /stream/never$", 30)
        client.h2.reset_stream(stream)
        client.flush()
        server.process.wait_for_line("^left /stream/never$", 30)


def test_a_client_sees_the_answer_to_a_body_that_nobody_reads(server):
    with server.http2() as client:
        length = ("content-length", str(2 * 1024**3))
        stream = client.ask("/seen", length, method="POST", end=False)
        client.h2.send_data(stream, bytes(16_000))
        client.flush()
        assert client.head(stream)[":status"] == "413"
        assert client.fetch("/hello") == ("200", b"hello")


# WebSockets over HTTP/2 ---------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["text ✓", b"\x00\xff", "", b"", "x" * 300_000])
def test_a_message_comes_back(server, message):
    with server.http2() as client:
        found = Socket(client)
        assert found.head[":status"] == "200"
        found.send(message)
        assert found.message() == message


def test_sockets_and_requests_share_a_connection(server):
    with server.http2() as client:
        one, two = Socket(client), Socket(client)
        one.send("one")
        two.send("two")
        assert client.fetch("/hello") == ("200", b"hello")
        assert (one.message(), two.message()) == ("one", "two")


def test_a_known_subprotocol_is_spoken(tmp_path):
    with running(tmp_path, "--ws-protocol", "b") as server, server.http2() as client:
        assert (
            Socket(client, "/echo", ("sec-websocket-protocol", "a, b")).head[
                "sec-websocket-protocol"
            ]
            == "b"
        )


def test_a_refused_socket_is_403(server):
    with server.http2() as client:
        assert Socket(client, "/refused").head[":status"] == "403"


@pytest.mark.parametrize("code", [1000, 1011, 4999])
def test_a_client_gets_the_code_of_a_consumer(server, code):
    with server.http2() as client:
        found = Socket(client)
        found.send(f"close {code}")
        assert found.close_code() == code


def test_consumers_hear_the_code_of_the_client(server):
    with server.http2() as client:
        Socket(client, "/code").close(4001)
        server.process.wait_for_line("^disconnected /code 4001$", 30)
    with server.websocket("/other") as client:
        client.close(4002)
    server.process.wait_for_line("^disconnected /other 4002$", 30)


def test_a_stream_that_ends_without_a_close_frame_is_1006(server):
    with server.http2() as client:
        found = Socket(client, "/torn")
        client.h2.end_stream(found.stream)
        client.flush()
        server.process.wait_for_line("^disconnected /torn 1006$", 30)
