"""Control: what supervisord is asked and told, by its own XML-RPC on its UNIX socket."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from channels_classic import notify
from channels_classic.exceptions import UpError
from channels_classic.up.plan import REDIS_ENDS, SERVER_ENDS, WORKER_ENDS
from channels_classic.up.state import State

#: Seconds for an answer of supervisord's; for one that it gives when processes have ended, each of
#: which it kills in time; for supervisord itself to begin, and between two looks at it.
_PATIENCE = 10.0
_ENDING = max(WORKER_ENDS, SERVER_ENDS, REDIS_ENDS) + 30.0
_BEGINNING = 30.0
_POLL = 0.05
#: Of a start that fails, its state tells.
_WILL_BE_SEEN = (Faults.SPAWN_ERROR, Faults.ABNORMAL_TERMINATION)
#: Variables of whatever supervises this command: its programs are none of that one's.
_OF_OTHERS = ("SUPERVISOR_", notify.VARIABLE)
_HAS_FAILED = ("BACKOFF", "EXITED", "FATAL", "UNKNOWN")


class UnixConnection(http.client.HTTPConnection):
    """HTTP on the UNIX socket at ``path``; each wait ends after ``timeout`` seconds: ``OSError``.

    That of supervisor's own package waits for ever.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        """Whoever sends has this done."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(SupervisorTransport):  # type: ignore[misc]
    """Makes a connection for each call, as it is closed after each."""

    def __init__(self, path: Path) -> None:
        super().__init__(serverurl=f"unix://{path}")
        self.patience = _PATIENCE
        self._get_connection = lambda: UnixConnection(path, self.patience)


@dataclass(frozen=True)
class Process:
    """One process, as supervisord tells of it."""

    group: str
    name: str
    #: As supervisord calls it: RUNNING, STARTING, BACKOFF, STOPPING, STOPPED, EXITED, FATAL.
    state: str
    pid: int
    #: When it was started, in Unix seconds; 0 if never.
    start: int
    uptime: int
    #: What went wrong when it was last started.
    problem: str

    @property
    def full_name(self) -> str:
        """By which it is told to start and stop."""
        return f"{self.group}:{self.name}"

    @property
    def runs(self) -> bool:
        """Whether it has been there for longer than its start takes."""
        return self.state == "RUNNING"

    @property
    def has_failed(self) -> bool:
        """Whether it has ended by itself."""
        return self.state in _HAS_FAILED


class Supervisor:
    """The supervisord of a state folder, whether it runs or not.

    Whatever it is asked raises ``UpError`` when it does not answer.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._transport = _Transport(state.socket)
        self._proxy: Any = ServerProxy("http://127.0.0.1", transport=self._transport)

    @property
    def answers(self) -> bool:
        """Whether it is there."""
        try:
            self._call("getState")
        except UpError:
            return False
        return True

    def processes(self) -> list[Process]:
        """All of them, in the order in which they start."""
        return [_process(each) for each in self._call("getAllProcessInfo")]

    # What it is told ------------------------------------------------------------------------

    def launch(self, *, foreground: bool = False) -> subprocess.Popen[str]:
        """Start supervisord, in the background if not told otherwise; ``UpError``."""
        self._state.socket.unlink(missing_ok=True)
        popen = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._state.config)]
            + (["--nodaemon", "--silent"] if foreground else []),
            env={k: v for k, v in os.environ.items() if not k.startswith(_OF_OTHERS)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for the one who has started it
        )
        end = time.monotonic() + _BEGINNING
        while not self.answers:
            if popen.poll() or time.monotonic() > end:
                popen.kill()
                said = popen.communicate()[0].strip() or "it says nothing"
                raise UpError(f"supervisord does not start: {said}")
            time.sleep(_POLL)
        return popen

    def update(self) -> tuple[list[str], list[str], list[str]]:
        """Read the configuration again and have what it says; what was added, changed, removed."""
        [[added, changed, removed]] = self._call("reloadConfig")
        for name in (*changed, *removed):
            self._call("stopProcessGroup", name, patience=_ENDING)
            self._call("removeProcessGroup", name)
        for name in (*changed, *added):
            self._call("addProcessGroup", name)
        return added, changed, removed

    def start(self, name: str) -> None:
        """Start a process; nothing happens to one that runs."""
        self._call("startProcess", name, False, but=(Faults.ALREADY_STARTED, *_WILL_BE_SEEN))

    def stop(self, name: str) -> None:
        """Ask a process to end, and wait until it has."""
        self._call("stopProcess", name, True, but=(Faults.NOT_RUNNING,), patience=_ENDING)

    def signal(self, name: str, number: str) -> None:
        """Send a signal to a process."""
        self._call("signalProcess", name, number)

    def shutdown(self) -> None:
        """Ask all to end, and supervisord after them; it may take long, and have begun already."""
        self._call("shutdown", but=(Faults.SHUTDOWN_STATE,))

    def _call(
        self,
        method: str,
        *arguments: Any,
        but: Collection[int] = (),
        patience: float | None = None,
    ) -> Any:
        """The answer, within ``patience`` seconds; None for a fault that is one of ``but``."""
        self._transport.patience = patience or _PATIENCE
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except (OSError, ProtocolError, http.client.HTTPException) as error:
            raise UpError(
                f"supervisord does not answer at {self._state.socket}: {error}"
            ) from error
        except Fault as error:
            if error.faultCode in but:
                return None
            raise UpError(f"supervisord says to {method}: {error.faultString}") from error
        finally:
            self._transport.close()


def _process(info: dict[str, Any]) -> Process:
    runs = info["statename"] in ("RUNNING", "STOPPING")
    return Process(
        group=info["group"],
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        start=info["start"],
        uptime=info["now"] - info["start"] if runs else 0,
        problem=info["spawnerr"] or "",
    )
