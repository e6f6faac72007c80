"""Helpers for acceptance tests: real processes, with logs to show and deadlines to keep."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")
POLL = 0.05


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], T | None], timeout: float = 20, message: str = "") -> T:
    """The first true answer of ``condition``; ``AssertionError`` when none comes in time."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {message or condition}")
        time.sleep(POLL)


def port_answers(port: int) -> bool:
    """Whether somebody listens on ``port`` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A command that runs in the background, with its output in a log file.

    As a context manager it starts on entry and is gone on exit, with all it started itself.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = [os.fspath(word) for word in command]
        self.log = log
        # The settings of the test suite are not those of what is started.
        inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        self.env = {**inherited, "PYTHONUNBUFFERED": "1", **(env or {})}
        self.cwd = cwd
        self.popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self.report())
        self.stop()

    def start(self) -> Self:
        """Start it; what an earlier run wrote to the log stays there."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,  # its own process group: kill() reaches its children
            )
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._started().pid

    def output(self) -> str:
        """All it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def report(self) -> str:
        """The command, its exit status and the end of its log, for an error's text."""
        status = self.popen.poll() if self.popen else "not started"
        tail = "\n".join(self.output().splitlines()[-40:])
        return f"{' '.join(self.command)}\nexit status: {status}; log {self.log}:\n{tail}"

    def wait_for_line(self, pattern: str, timeout: float = 40) -> re.Match[str]:
        """The first place in its output that matches; ``AssertionError`` with the log if none."""
        return self._wait(
            lambda: re.search(pattern, self.output(), re.MULTILINE), timeout, f"a line {pattern!r}"
        )

    def wait_for_port(self, port: int, timeout: float = 40) -> None:
        """Until ``port`` is listened on; ``AssertionError`` with the log if it never is."""
        self._wait(lambda: port_answers(port), timeout, f"port {port} to be listened on")

    def wait(self, timeout: float = 40) -> int:
        """Its exit status, once it has ended by itself."""
        try:
            return self._started().wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout} s: {self.report()}") from None

    def send_signal(self, number: int) -> None:
        """A signal to the process alone, not to those it started."""
        self._started().send_signal(number)

    def terminate(self, timeout: float = 40) -> int:
        """Ask it to end by SIGTERM; its exit status."""
        self.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """End it at once, with all it started."""
        if self.popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def stop(self, timeout: float = 40) -> None:
        """End it whatever it takes: by SIGTERM, and what is left of it by SIGKILL."""
        if self.popen is None:
            return
        self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout)
        self.kill()

    def _started(self) -> subprocess.Popen[bytes]:
        if self.popen is None:
            raise AssertionError(f"not started: {self.command}")
        return self.popen

    def _wait(self, condition: Callable[[], T | None], timeout: float, what: str) -> T:
        def answer() -> T | None:
            found = condition()
            if not found and self._started().poll() is not None:
                raise AssertionError(f"ended before {what}")
            return found

        try:
            return wait_until(answer, timeout, what)
        except AssertionError as error:
            error.add_note(self.report())
            raise
