"""The state folder of a site: sockets, pids and logs, and the processes started from it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from channels_classic.exceptions import LayerUnavailable, UpError
from channels_classic.layers.private.server import make_private
from channels_classic.up.plan import Plan

#: The path of a UNIX socket has room for so many bytes on every system; supervisord appends its
#: pid to that of its own while it makes it.
_LONGEST = 103
_APPENDED = len(".4194304")
_POLL = 0.05
_PROC = Path("/proc")


@dataclass(frozen=True)
class Relative:
    """A process that supervisord has started, or that one of those has started."""

    pid: int
    #: The name of the program's process, as supervisord has it.
    name: str


class Noted(NamedTuple):
    """What is known of a site that was started."""

    plan: Plan
    ready_path: str


class State:
    """The state folder at ``path``, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "supervisord.conf"
        self.socket = path / "supervisor.sock"
        self.supervisord_log = path / "supervisord.log"
        self._record = path / "site.json"

    def make(self) -> None:
        """Make the folder, for this user alone; ``UpError``."""
        longest = len(os.fsencode(self.socket)) + _APPENDED
        if longest > _LONGEST:
            raise UpError(
                f"{self.path} is {longest - _LONGEST} bytes too long for UNIX sockets in it: "
                "choose another folder with --state or CHANNELS_STATE, such as one in /run or /tmp"
            )
        try:
            make_private(self.path)
            (self.path / ".gitignore").write_text("*\n", encoding="utf-8")
        except LayerUnavailable as error:
            raise UpError(str(error)) from error
        except OSError as error:
            raise UpError(f"{self.path} cannot be made: {error.strerror}") from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """The block runs in one process at a time; ``UpError`` when another one is at it."""
        with open(self.path / "lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpError(
                    "another channels-classic is starting or stopping this site"
                ) from None
            yield

    def log(self, process: str) -> Path:
        """Where what the process says goes."""
        return self.path / f"{process}.log"

    # What `up` notes for the other commands -------------------------------------------------

    def note(self, plan: Plan, ready_path: str) -> None:
        """Remember what runs, and where the server's readiness probe is."""
        facts = {"plan": plan.to_json(), "ready_path": ready_path}
        self._record.write_text(json.dumps(facts), encoding="utf-8")

    def noted(self) -> Noted | None:
        """What was noted; None if nothing was."""
        try:
            found = json.loads(self._record.read_text(encoding="utf-8"))
            return Noted(Plan.from_json(found["plan"]), found["ready_path"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # Processes, where the system has /proc ---------------------------------------------------

    def supervisord(self) -> int | None:
        """The pid of the supervisord that runs with this folder's configuration."""
        ours = [b"supervisor.supervisord", b"-c", os.fsencode(self.config)]
        for folder in _PROC.glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if words[2:5] == ours:
                    return int(folder.name)
        return None

    def signal_supervisord(self, *numbers: signal.Signals) -> int | None:
        """Send signals to that supervisord; its pid, None if it is not there."""
        pid = self.supervisord()
        if pid is not None:
            for number in numbers:
                _send(pid, number)
        return pid

    @property
    def runs(self) -> bool:
        """Whether any process is there."""
        return bool(self.supervisord() or self.relatives())

    def relatives(self) -> list[Relative]:
        """All that supervisord has started, found by what it has put into their environment.

        So a pid that the system has given to somebody else meanwhile does no harm.
        """
        mark = b"SUPERVISOR_SERVER_URL=unix://" + os.fsencode(self.socket)
        found = []
        for folder in _PROC.glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended, or is somebody else's
                environment = (folder / "environ").read_bytes().split(b"\0")
                if mark in environment:
                    found.append(Relative(int(folder.name), _process_name(environment)))
        return sorted(found, key=lambda each: each.pid)

    def terminate(self) -> None:
        """Send SIGTERM to all that run."""
        for each in self.relatives():
            _send(each.pid, signal.SIGTERM)

    def end_relatives(self, patience: float, *, on_kill: Callable[[Relative], None]) -> None:
        """End all that run: whoever asks first, and Redis last; what is late is killed."""
        for is_last in (False, True):
            self._end(is_last, patience, on_kill)

    def _end(self, redis_too: bool, patience: float, on_kill: Callable[[Relative], None]) -> None:
        def left() -> list[Relative]:
            return [each for each in self.relatives() if redis_too or each.name != "redis"]

        for each in left():
            _send(each.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while left() and time.monotonic() < deadline:
            time.sleep(_POLL)
        for each in left():
            on_kill(each)
            _send(each.pid, signal.SIGKILL)
        while left():
            time.sleep(_POLL)


def _process_name(environment: list[bytes]) -> str:
    for each in environment:
        name, _, value = each.partition(b"=")
        if name == b"SUPERVISOR_PROCESS_NAME":
            return os.fsdecode(value)
    return "?"


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.kill(pid, number)
