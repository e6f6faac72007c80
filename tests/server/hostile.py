"""A real server under attack, and the attackers: what every hostile test does and asserts alike.

``with target.attack() as client`` connects a client that may do what it likes. When the block ends,
while its connection is still there, another client is served; then the server lives, has not
logged a traceback, and has not used more memory than a bounded amount at any moment of the attack.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.processes import Process, free_port, wait_until
from tests.server.wire import (
    CLOSE,
    TEXT,
    Answer,
    Frame,
    frame,
    handshake,
    split_answer,
    split_frame,
)

ROOT = Path(__file__).parents[2]
_IN_CI = bool(os.environ.get("CI"))
#: Within so many seconds another client is served, whatever goes on.
SERVED_WITHIN = 10.0 if _IN_CI else 2.0
#: Within so many seconds the server answers, or ends, what it must answer or end.
PATIENCE = 40.0 if _IN_CI else 15.0
#: So many bytes more may be in use at any moment of an attack.
GROWTH = 16 * 1024**2
#: What a server that does not read has no room for after so many seconds, it will not take.
_STUCK = 0.3


class Attacker:
    """One connection, by hand. It never answers a frame or a deadline that it is not told to."""

    def __init__(self, target: Target, sock: socket.socket) -> None:
        self.target = target
        self.sock = sock
        self._began = len(target.process.output())
        self._received = b""
        self._ended = False

    def log(self) -> str:
        """What the server has written since this client came."""
        return self.target.process.output()[self._began :]

    def told(self, path: str) -> list[str]:
        """The codes with which consumers were told that sockets on ``path`` ended; one at least."""
        pattern = re.compile(rf"^disconnected {path!a} (\S+)$", re.MULTILINE)
        return wait_until(lambda: pattern.findall(self.log()), PATIENCE, "a websocket.disconnect")

    # Write ----------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Send all of ``data`` and read meanwhile; False if the server has ended it before."""
        view, deadline = memoryview(data), time.monotonic() + PATIENCE
        while view:
            readable, writable, _ = select.select([self.sock], [self.sock], [], PATIENCE)
            assert readable or writable, "the server neither reads nor writes"
            assert time.monotonic() < deadline, f"{len(view)} bytes could not be sent in time"
            try:
                if writable:
                    view = view[self.sock.send(view[: 256 * 1024]) :]
            except OSError:
                self._drain()
                return False
            if readable and not self._ended:
                self._read()
        return True

    def pour(self, data: bytes, limit: int) -> int:
        """Send ``data`` again and again and read nothing; how many bytes the server took."""
        sent = 0
        while sent < limit and select.select([], [self.sock], [], _STUCK)[1]:
            try:
                sent += self.sock.send(data)
            except OSError:
                break
        return sent

    def half_close(self) -> None:
        """Say that nothing more will be sent; still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # Read -----------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            data = self.sock.recv(256 * 1024)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            raise AssertionError(
                f"the server says nothing more and stays: {self._received[-500:]!r}"
            ) from None
        except OSError:
            data = b""
        self._received += data
        self._ended = not data

    def _drain(self) -> None:
        while not self._ended:
            self._read()

    def remains(self) -> bytes:
        """All that comes until the server has ended the connection."""
        deadline = time.monotonic() + PATIENCE
        while not self._ended:
            assert time.monotonic() < deadline, "the server does not come to an end"
            self._read()
        data, self._received = self._received, b""
        return data

    def answer(self) -> Answer:
        """The next answer."""
        while (found := split_answer(self._received, ended=self._ended)) is None:
            self._read()
        answer, self._received = found
        return answer

    def answers(self) -> list[Answer]:
        """All answers, until the server has ended the connection."""
        data, found = self.remains(), []
        while data:
            answer, data = split_answer(data, ended=True) or (None, b"")
            assert answer is not None
            found.append(answer)
        return found

    def statuses(self) -> list[int]:
        """The status of each answer, until the server has ended the connection."""
        return [each.status for each in self.answers()]

    def frame(self) -> Frame | None:
        """The next frame; None when the connection has ended without one."""
        while (found := split_frame(self._received)) is None:
            if self._ended:
                return None
            self._read()
        received, self._received = found
        return received

    def close_code(self) -> int | None:
        """The code with which the server closes; None without one. Then it ends the connection."""
        while (received := self.frame()) is not None:
            if received.opcode == CLOSE:
                code = int.from_bytes(received.payload[:2], "big") if received.payload else 1005
                assert self.remains() == b"", "the server said something after its close frame"
                return code
        return None


class Target:
    """The server that is attacked."""

    def __init__(self, process: Process, port: int, *, tls: bool = False) -> None:
        self.process = process
        self.port = port
        self._tls = tls
        self._idle = 0

    @contextlib.contextmanager
    def attack(self, *, receive_buffer: int = 0) -> Iterator[Attacker]:
        """One hostile client; see the module for what is asserted at its end."""
        with self._watched(), contextlib.closing(self.connect(receive_buffer)) as sock:
            yield Attacker(self, sock)
            self.serves_others()

    @contextlib.contextmanager
    def socket(
        self, path: str = "/echo", *, receive_buffer: int = 0, **headers: object
    ) -> Iterator[Attacker]:
        """A hostile client whose WebSocket has been accepted."""
        with self.attack(receive_buffer=receive_buffer) as client:
            client.send(handshake(path, **headers))
            assert client.answer().status == 101
            yield client

    @contextlib.contextmanager
    def crowd(self, size: int, *, source: str = "") -> Iterator[list[Attacker]]:
        """Many hostile clients at once, of the address ``source``."""
        with self._watched(), contextlib.ExitStack() as stack:
            yield [
                Attacker(self, stack.enter_context(contextlib.closing(self.connect(source=source))))
                for _ in range(size)
            ]
            self.serves_others()

    def connect(self, receive_buffer: int = 0, *, source: str = "") -> socket.socket:
        """A connection to it."""
        sock = socket.socket()
        if source:
            sock.bind((source, 0))
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def warm_up(self) -> None:
        """What it needs for its first request and its first socket is no growth."""
        wait_until(self._serves, PATIENCE, "the server to be ready")
        if not self._tls:
            with contextlib.closing(self.connect()) as sock:
                client = Attacker(self, sock)
                client.send(handshake())
                assert client.answer().status == 101
                client.send(frame(TEXT, b"hello") + frame(CLOSE))
                assert client.close_code() is not None
        wait_until(lambda: not self._established(), PATIENCE, "the server to be idle")
        self._idle = self._sockets()

    def _established(self) -> bool:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        local = f"0100007F:{self.port:04X}"
        return any(row[1] == local and row[3] != "0A" and row[9] != "0" for row in rows)

    def serves_others(self) -> None:
        """A page is served to another client in time."""
        deadline = time.monotonic() + SERVED_WITHIN
        wait_until(self._serves, SERVED_WITHIN, "another client to be served")
        assert time.monotonic() < deadline, "another client was served too late"

    def _serves(self) -> bool:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SERVED_WITHIN)
        if self._tls:
            context = ssl._create_unverified_context()
            client = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=SERVED_WITHIN, context=context
            )
        with contextlib.closing(client), contextlib.suppress(OSError, http.client.HTTPException):
            client.request("GET", "/hello", headers={"Connection": "close"})
            return client.getresponse().read() == b"hello"
        return False

    def holds(self) -> int:
        """How many connections of clients the server still has."""
        return self._sockets() - self._idle

    def _sockets(self) -> int:
        found = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed just now
                found += str(descriptor.readlink()).startswith("socket:")
        return found

    def forgets_all(self) -> None:
        """No connection is left in the server, soon."""
        wait_until(lambda: self.holds() <= 0, PATIENCE, "the server to let go of its connections")

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        log = len(self.process.output())
        before = self._memory("VmRSS")
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # the peak begins anew
        try:
            yield
        except AssertionError as error:
            error.add_note(self.process.report())
            raise
        assert self.process.popen is not None
        assert self.process.popen.poll() is None, self.process.report()
        grown = self._memory("VmHWM") - before
        assert grown < GROWTH, f"the server's memory grew by {grown / 1024**2:.1f} MiB"
        assert "Traceback" not in self.process.output()[log:], self.process.report()

    def _memory(self, what: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the server is gone: " + self.process.report())


@contextlib.contextmanager
def attacked(
    folder: Path, *options: object, redis: str | None = None, grace: float | None = None
) -> Iterator[Target]:
    """A server with ``options``, ready for attacks; with a worker of its own if it has a Redis.

    ``grace`` is for how many seconds a body may be as slow as it likes.
    """
    port = free_port()
    command = [sys.executable, "-m", "channels_classic.cli", "server", "--port", port]
    command += ["--graceful-timeout", 1, *options, "tests.server.hostile_site:channel_layer"]
    env = {"HOSTILE_REDIS": redis} if redis else {}
    env |= {"HOSTILE_GRACE": str(grace)} if grace else {}
    with contextlib.ExitStack() as stack:
        if redis:
            site = [sys.executable, "-m", "tests.server.hostile_site"]
            worker = Process(site, log=folder / "worker.log", env=env, cwd=ROOT)
            stack.enter_context(worker).wait_for_line("^ready$", PATIENCE)
        server = Process(list(map(str, command)), log=folder / "server.log", env=env, cwd=ROOT)
        stack.enter_context(server).wait_for_port(port, PATIENCE)
        target = Target(server, port, tls="--ssl-certfile" in options)
        target.warm_up()
        yield target
