"""A running server with this engine, and what asks it: sockets, and programs of Debian's."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.acceptance.processes import Process, free_port
from tests.engines.http2 import Client

ROOT = Path(__file__).parents[2]


class Server:
    """A running server with the site of the hosts' tests."""

    def __init__(self, port: int, process: Process) -> None:
        self.port = port
        self.process = process

    def http2(self, **options) -> contextlib.AbstractContextManager[Client]:
        """A client of HTTP/2 that knows what this server speaks."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return contextlib.closing(_Closing(sock, **options))

    def raw(self) -> contextlib.closing[socket.socket]:
        """A connection."""
        return contextlib.closing(socket.create_connection(("127.0.0.1", self.port), timeout=30))

    def websocket(self, path="/echo", **options):
        """A WebSocket over HTTP/1."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)


class _Closing(Client):
    def close(self) -> None:
        self.sock.close()


@contextlib.contextmanager
def running(folder, *options):
    """A server with these options."""
    port = free_port()
    command = [sys.executable, "-m", "channels_classic.cli", "server", "tests.hosts.site:interface"]
    command += ["--engine", "hypercorn", "--port", str(port), *map(str, options)]
    with Process(command, log=folder / "server.log", cwd=ROOT) as process:
        process.wait_for_port(port, 40)
        yield Server(port, process)


def run(*command) -> str:
    """What a command of Debian's writes."""
    name = str(command[0])
    if shutil.which(name) is None:
        pytest.fail(f"{name} is missing: make test installs it")
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def kept(server) -> http.client.HTTPConnection | None:
    """A connection that has had an answer; None if it was not admitted."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/hello")
    answer = connection.getresponse()
    if answer.read() == b"hello":
        return connection
    connection.close()
    return None


def curl(url, *options) -> list[str]:
    """The body, the version of HTTP and the status."""
    return run("curl", "-sS", "-w", "\n%{http_version} %{http_code}", *options, url).splitlines()


def first_line(sock) -> bytes:
    """What an answer begins with."""
    with sock.makefile("rb") as file:
        return file.readline()
