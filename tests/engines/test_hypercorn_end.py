"""The engine hypercorn: how it stops."""

from __future__ import annotations

import contextlib
import re
import signal

import pytest
from h2.errors import ErrorCodes
from websockets.exceptions import ConnectionClosed

from tests.acceptance.processes import port_answers, wait_until
from tests.engines.http2 import Socket
from tests.engines.running import curl, running

# The end ------------------------------------------------------------------------------------------


def test_a_signal_lets_answers_finish_and_closes_sockets(tmp_path):
    with running(tmp_path) as server, server.http2() as client, server.websocket() as other:
        found = Socket(client)
        stream = client.ask("/stream")
        client.until(lambda: client.body(stream) == b"one")
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as raised:
            other.recv(timeout=30)
        assert (raised.value.rcvd.code, found.close_code()) == (1012, 1012)
        assert client.goaways == [ErrorCodes.NO_ERROR]  # that is: come back on another connection
        assert client.fetch("/go-on")[0] == "200"  # it was on its way
        assert client.answer(stream) == ("200", b"onetwo")
        found.close(1000)
        client.read_all()
        assert server.process.wait() == 0
        assert sorted(disconnections(server)) == ["/echo 1012", "/echo 1012"]


def test_an_answer_of_http1_is_the_last_one_and_says_so(tmp_path):
    with (
        running(tmp_path) as server,
        server.raw() as client,
        client.makefile("rb") as file,
        server.raw() as idle,
        idle.makefile("rb") as last,
    ):
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while last.readline() != b"\r\n":
            pass
        assert last.read(5) == b"hello"
        while file.readline() != b"one\r\n":
            pass
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not port_answers(server.port), 30)
        idle.sendall(b"GET /go-on HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in last.read()
        assert file.read() == b"3\r\ntwo\r\n0\r\n\r\n"
        assert server.process.wait() == 0


def test_what_takes_too_long_is_cut(tmp_path):
    with running(tmp_path, "--graceful-timeout", 0.3) as server, server.raw() as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.process.wait_for_line("^asked /never$", 30)
        assert server.process.terminate() == 0
        assert "Cut 1 connections that did not end within 0.3 s" in server.process.output()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_a_second_signal_ends_at_once(tmp_path):
    with running(tmp_path) as server, server.raw() as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.process.wait_for_line("^asked /never$", 30)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not port_answers(server.port), 30)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 128 + signal.SIGTERM


def test_several_processes_share_a_port(tmp_path):
    with running(tmp_path, "--processes", 2) as server:
        url = f"http://127.0.0.1:{server.port}/hello"
        assert curl(url, "--http2-prior-knowledge") == ["hello", "2 200"]
        assert server.process.terminate() == 0


def disconnections(server) -> list[str]:
    """What consumers have been told of the end of sockets."""
    return re.findall(r"^disconnected (.*)$", server.process.output(), re.MULTILINE)
