"""Ready: whether what has been started does its work, and why it does not."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Collection
from pathlib import Path

from channels_classic.exceptions import UpError
from channels_classic.up.control import Process, Supervisor, UnixConnection
from channels_classic.up.plan import Plan, Program
from channels_classic.up.probe import Announced
from channels_classic.up.state import State

#: Seconds between two looks, and for one answer.
_POLL, _PATIENCE = 0.1, 2.0
#: Lines of a log that are shown.
_TAIL = 20


class Logs:
    """The logs of a state folder, each from where it ended at the time of ``mark``."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._marks: dict[Path, int] = {}

    def mark(self, processes: Collection[str]) -> None:
        """What is there by now is not of interest."""
        for each in processes:
            path = self._state.log(each)
            self._marks[path] = path.stat().st_size if path.exists() else 0

    def tail(self, process: str) -> str:
        """The last lines since then, with the path, as the end of an error's text."""
        path = self._state.log(process)
        try:
            with path.open("rb") as log:
                end = log.seek(0, 2)
                mark = self._marks.get(path, 0)
                log.seek(mark if mark <= end else 0)  # it has been rotated
                said = log.read().decode(errors="replace").splitlines()[-_TAIL:]
        except OSError:
            said = []
        shown = "\n".join(f"    {line}" for line in said) or "    (nothing)"
        return f"The end of {path}:\n{shown}"


class Watch:
    """Waits for processes to be ready, and raises ``UpError`` when one of them fails meanwhile.

    ``announced`` tells who is on the bus, as ``Probe.announced`` does.
    """

    def __init__(
        self,
        plan: Plan,
        supervisor: Supervisor,
        logs: Logs,
        *,
        ready_path: str,
        announced: Callable[[], Announced | None],
        timeout: float,
    ) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._logs = logs
        self._ready_path = ready_path
        self._announced = announced
        self._timeout = timeout
        self._starts: dict[str, int] = {}
        self._reason = ""

    def begin(self, processes: Collection[str]) -> None:
        """From now on, one of these ``processes`` that starts again has failed."""
        self._starts = dict.fromkeys(processes, 0)

    def wait(self, program: Program, processes: Collection[str] | None = None) -> float:
        """Until the ``processes`` of ``program``, or all, are ready; seconds that it took."""
        wanted = list(processes or program.processes)
        return self._until(lambda: self._are_ready(program, wanted), wanted)

    def wait_for_others(self, program: Program, before: Announced | None) -> float:
        """Until ``program`` has as many processes as it should, none of which was there before."""
        self._reason = "the old processes are still there"

        def have_changed() -> bool:
            now = self._announced()
            if now is None or before is None:
                return True
            is_complete = len(now["server"]) >= self._plan.processes
            return is_complete and not now["server"] & before["server"]

        return self._until(have_changed, program.processes)

    def _until(self, condition: Callable[[], bool], wanted: Collection[str]) -> float:
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > self._timeout:
                raise UpError(self._late(wanted))
            time.sleep(_POLL)
        return time.monotonic() - began

    def _are_ready(self, program: Program, wanted: list[str]) -> bool:
        found = {each.name: each for each in self._supervisor.processes()}
        for each in found.values():
            self._see(each)
        self._reason = "it has not run for a second yet"
        if not all(name in found and found[name].runs for name in wanted):
            return False
        return self._works(program, {found[name].pid for name in wanted})

    def _works(self, program: Program, pids: set[int]) -> bool:
        if program.name == "redis":
            self._reason = "it does not answer"
            return redis_answers(self._plan.redis_socket)
        if program.name == "server":
            self._reason = why_not_ready(self._plan, self._ready_path)
            return not self._reason
        self._reason = "it has not announced itself on the bus"
        announced = self._announced()
        return announced is None or pids <= announced["worker"]

    def _see(self, process: Process) -> None:
        before = self._starts.get(process.name)
        if before is None:
            return
        if process.has_failed or before not in (0, process.start):
            why = f" ({process.problem})" if process.problem else ""
            raise UpError(
                f"{process.name} ends as soon as it starts{why}.\n{self._logs.tail(process.name)}"
            )
        self._starts[process.name] = process.start

    def _late(self, wanted: Collection[str]) -> str:
        names = " and ".join(wanted)
        tails = "\n".join(map(self._logs.tail, wanted))
        return f"{names}: not ready after {self._timeout:g} s: {self._reason}.\n{tails}"


def redis_answers(path: Path) -> bool:
    """Whether a Redis at the UNIX socket ``path`` says that it does."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(_PATIENCE)
        try:
            link.connect(str(path))
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def why_not_ready(plan: Plan, path: str) -> str:
    """What the server's readiness probe says; "" when all is well, or there is no probe."""
    connection = _connection(plan)
    try:
        connection.request("GET", path or "/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"the server does not answer ({error})"
    finally:
        connection.close()
    if not path or answer.status == 200:
        return ""
    try:
        return "; ".join(json.loads(body)["reasons"])
    except (ValueError, TypeError, KeyError):
        return f"{path} is answered {answer.status}"


def _connection(plan: Plan) -> http.client.HTTPConnection:
    if plan.unix_socket:
        return UnixConnection(plan.folder / plan.unix_socket, _PATIENCE)
    return http.client.HTTPConnection(plan.reached_host, plan.port, timeout=_PATIENCE)
