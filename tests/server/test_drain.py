"""How a server ends: who is still answered, who is told to come back, who is cut."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from uvicorn.server import ServerState
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from channels_classic.server import run
from channels_classic.server.engines.drain import accept_the_rest
from channels_classic.server.engines.uvicorn_drain import finish
from channels_classic.server.options import Limits, Listen
from tests.acceptance.processes import free_port, wait_until
from tests.server.ends import until
from tests.server.test_run import ROOT, reachable, server

GET = "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def start(tmp_path):
    """``start(*options)``: the port and the process of a server that the test may stop."""
    with contextlib.ExitStack() as stack:

        def begin(*options):
            number = free_port()
            process = stack.enter_context(server(tmp_path, "--port", number, *options))
            process.wait_for_port(number)
            return number, process

        yield begin


def kept(port):
    """A connection that has had its first answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/hello")
    assert connection.getresponse().read() == b"hello"
    return connection


def stop_listening(port, process):
    """Ask it to end, and wait until it takes no new connections."""
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: not reachable(port), message="the port to be closed")


# Requests -----------------------------------------------------------------------------------------


def test_the_next_request_of_an_idle_connection_is_answered_and_is_the_last(start):
    port, process = start()
    with contextlib.closing(kept(port)) as connection:
        stop_listening(port, process)
        connection.request("GET", "/hello")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"hello")
        assert response.getheader("connection") == "close"
    assert process.wait() == 0


def test_an_idle_connection_is_closed_soon(start):
    port, process = start("--keep-alive", 300)
    with contextlib.closing(kept(port)) as connection:
        process.send_signal(signal.SIGTERM)
        assert connection.sock.recv(1) == b""
    assert process.wait() == 0


def test_the_answer_in_flight_says_that_it_is_the_last(start):
    port, process = start()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall((GET % "/slow").encode())
        process.wait_for_line("^slow began$")
        process.send_signal(signal.SIGTERM)
        answer = client.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert body == b"slow but sure"


def test_who_waits_to_be_accepted_is_served(start):
    port, process = start()
    process.send_signal(signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            client.sendall((GET % "/hello").encode())
            clients.append(stack.enter_context(client))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        answers = [client.makefile("rb").read() for client in clients]
    assert [(each[9:12], each[-5:]) for each in answers] == [(b"200", b"hello")] * 20
    assert process.wait() == 0


def test_a_request_that_nobody_answers_is_cut(start):
    port, process = start("--graceful-timeout", 0.3)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall((GET % "/never").encode())
        process.wait_for_line("^never began$")
        assert process.terminate() == 0
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    assert "Cut 1 connections that did not end within 0.3 s" in process.output()
    assert "Traceback" not in process.output()


def test_a_client_that_does_not_read_its_answer_is_cut(start):
    port, process = start("--graceful-timeout", 0.3)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", port))
        client.sendall((GET % "/big").encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        assert process.terminate() == 0


# Sockets ------------------------------------------------------------------------------------------


def open_socket(stack, port, path="/echo"):
    client = stack.enter_context(connect(f"ws://127.0.0.1:{port}{path}", compression=None))
    client.send("hi")
    assert client.recv(timeout=10) == "hi"
    return client


def code_of(client):
    """The code that the server closes with."""
    try:
        while True:
            client.recv(timeout=10)
    except ConnectionClosed as closed:
        return closed.rcvd.code


def test_every_socket_is_closed_with_1012_and_every_consumer_is_told(start):
    port, process = start("--close-spread", 0.3)
    with contextlib.ExitStack() as stack:
        clients = [open_socket(stack, port) for _ in range(150)]
        process.send_signal(signal.SIGTERM)
        assert [code_of(client) for client in clients] == [1012] * 150
        assert process.wait() == 0
    assert process.output().count("disconnected /echo 1012") == 150


def test_a_client_that_sends_all_the_time_hears_1012_too(start):
    port, process = start()
    with connect(f"ws://127.0.0.1:{port}/silent", compression=None) as client:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionClosed):
            while True:
                client.send("x" * 1000)
        assert code_of(client) == 1012
    assert process.wait() == 0


def test_a_handshake_in_flight_is_finished_and_its_socket_told_to_come_back(start):
    port, process = start()
    codes = []

    def ask():
        with connect(f"ws://127.0.0.1:{port}/late") as client:
            codes.append(code_of(client))

    asking = threading.Thread(target=ask)
    asking.start()
    process.wait_for_line("^late began$")
    process.send_signal(signal.SIGTERM)
    asking.join()
    assert (codes, process.wait()) == ([1012], 0)


def test_a_client_that_does_not_answer_the_close_is_cut(start):
    port, process = start("--close-timeout", 0.2)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    head = f"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n{key}"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"{head}Connection: Upgrade\r\n\r\n".encode())
        file = client.makefile("rb")
        while file.readline() != b"\r\n":
            pass
        began = time.monotonic()
        assert process.terminate() == 0
        assert time.monotonic() - began < 10  # the default of close_timeout
        assert file.read() == b"\x88\x02\x03\xf4"  # 1012
    assert "disconnected /echo 1012" in process.output()


# What is not to be seen from outside in time ------------------------------------------------------


async def test_nobody_is_left_in_the_queue_of_the_system():
    loop = asyncio.get_running_loop()
    made = []

    class Connection(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server = await loop.create_server(Connection, sock=listener)
        for _ in range(3):
            stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
        await accept_the_rest([listener])
        server.close()
        await until(lambda: len(made) == 3)
        for each in made:
            each.abort()


class Late:
    """A connection that is there only after the handshake of TLS."""

    def __init__(self, state):
        self.state = state
        self.is_asked = False

    def shutdown(self):
        self.is_asked = True
        self.state.connections.discard(self)


async def test_who_is_still_in_the_handshake_of_tls_is_waited_for():
    state = ServerState()
    late = Late(state)
    asyncio.get_running_loop().call_soon(state.connections.add, late)
    await finish(state, Limits(), at_least=0.2)
    assert late.is_asked


# The order of things ------------------------------------------------------------------------------


class Engine:
    """Writes down what it is asked; serves until it is asked to stop, or for ever."""

    def __init__(self, steps):
        self.steps = steps

    def serve_on(self, sockets):
        os.kill(os.getpid(), signal.SIGTERM)
        assert self.steps == ["drain", "stop"]

    def stop(self):
        self.steps.append("stop")


class Application:
    def __init__(self, steps):
        self.steps = steps

    def drain(self):
        self.steps.append("drain")


def test_readiness_goes_first(monkeypatch):
    steps = []
    monkeypatch.setattr(run, "make_engine", lambda *_: Engine(steps))
    run.run_server(Application(steps), Listen(port=0), Limits())
    assert steps == ["drain", "stop"]


def test_an_engine_that_does_not_end_is_ended():
    code = """
import os, signal, threading
from channels_classic.server import run
from channels_classic.server.engines.drain import accept_the_rest
from channels_classic.server.engines.uvicorn_drain import finish
from channels_classic.server.options import Limits, Listen

class Stuck:
    def drain(self): pass
    def stop(self): pass
    def serve_on(self, sockets):
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()

run.make_engine, run._OVERTIME = lambda *_: Stuck(), 0.1
run.run_server(Stuck(), Listen(port=0), Limits(graceful_timeout=0.1))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, timeout=30, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"has not stopped within 0.2 s" in done.stderr
