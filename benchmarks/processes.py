"""Processes of the run: started by path, awaited by condition, ended by their own id, always."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
START_DEADLINE = 30.0
STOP_DEADLINE = 10.0
SETTLE_DEADLINE = 5.0


class DidNotStart(Exception):
    """A process ended, or was not ready in time; the text holds the end of its log."""


class Process:
    """One process with its log; ``pid`` is its leader's, ``stop`` ends its whole session.

    What ``talks`` is asked things over its stdin and answers on its stdout.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        talks: bool = False,
    ) -> None:
        self.name, self.log = name, log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if talks else output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._popen.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait for ``ready()``; raises ``DidNotStart`` when it does not come or we end first."""
        deadline = time.monotonic() + START_DEADLINE
        while not ready():
            ended = self._popen.poll()
            if ended is not None or time.monotonic() > deadline:
                why = "did not get ready" if ended is None else f"ended with status {ended}"
                tail = self.log.read_text(errors="replace")[-2000:]
                raise DidNotStart(f"{self.name} {why}:\n{tail}")
            time.sleep(0.05)

    def tell(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()

    def hear(self) -> str:
        """Read a line from its stdout; raises ``DidNotStart`` when it has ended."""
        assert self._popen.stdout is not None
        answer = self._popen.stdout.readline().decode()
        if not answer:
            raise DidNotStart(f"{self.name} ended:\n{self.log.read_text(errors='replace')[-2000:]}")
        return answer

    def pause(self) -> None:
        """Stop it and what it has forked, until ``resume``."""
        os.killpg(self._popen.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.killpg(self._popen.pid, signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left of its session after the deadline."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            self._popen.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe:
                pipe.close()


class Processes:
    """The processes of one contestant and their folder; leaving it ends them, last one first."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start(self, name: str, *argv: str, **env: str) -> Process:
        """Start ``argv`` from the root of the project."""
        return self._started(Process(name, argv, env=env, log=self._log(name)))

    def python(self, name: str, module: str, *arguments: str, **env: str) -> Process:
        """Start ``python -m module`` with the interpreter that runs this."""
        return self.start(name, sys.executable, "-m", module, *arguments, **env)

    def talker(self, module: str, *arguments: str, **env: str) -> Process:
        """Start ``python -m module``, which is told and answers line by line."""
        name, argv = module.rpartition(".")[2], [sys.executable, "-m", module, *arguments]
        return self._started(Process(name, argv, env=env, log=self._log(name), talks=True))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}-{time.monotonic_ns()}.log"

    def _started(self, process: Process) -> Process:
        self._stack.callback(process.stop)
        return process

    def redis(self) -> str:
        """Start a Redis of our own, on a UNIX socket, that stores nothing; its URL."""
        path = self.folder / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(path), "--dir", str(self.folder)]
        options += ["--save", "", "--appendonly", "no"]
        self.start("redis", "redis-server", *options).wait_until(
            lambda: redis_ask(path, "PING").startswith(b"+PONG")
        )
        return f"unix://{path}"


class Sender:
    """A process that sends to groups, or submits tasks, when told."""

    def __init__(self, process: Process) -> None:
        self._process = process
        process.hear()

    def __call__(
        self, *, to: str, first: int, count: int, gap: float = 0, seconds: float = 60
    ) -> list[int]:
        """Carry out an order; what each send took the sender, in nanoseconds."""
        order = {"to": to, "first": first, "count": count, "gap": gap, "seconds": seconds}
        self._process.tell(json.dumps(order))
        cost: list[int] = json.loads(self._process.hear())
        return cost


def socket_of(url: str) -> Path:
    """Where the Redis of ``Processes.redis`` listens."""
    return Path(url.removeprefix("unix://"))


def redis_ask(path: Path, command: str) -> bytes:
    """The first piece of Redis' answer to an inline command; empty when it does not listen."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(path))
            client.sendall(command.encode() + b"\r\n")
            return client.recv(65536)
        except OSError:
            return b""


def settle(pid: int) -> None:
    """Wait until the process has little left to do, so that the next work starts even."""
    deadline = time.monotonic() + SETTLE_DEADLINE
    busy = True
    while busy and time.monotonic() < deadline:
        before = cpu_seconds(pid)
        time.sleep(0.2)
        busy = cpu_seconds(pid) - before > 0.04


def cpu_seconds(pid: int) -> float:
    """The processor time that the process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def says_hello(port: int) -> bool:
    """Whether the start page is served."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return bool(answer.read() == b"Hello, world!")
    except (OSError, urllib.error.URLError):
        return False
