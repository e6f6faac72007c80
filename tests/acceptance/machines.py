"""Several machines in one: network namespaces on a switch, whose cables can be pulled out."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import pytest

from channels_classic.layers.names import random_letters

#: The addresses are seen within the namespaces alone.
NET = "10.77.0"
SWITCH = "switch"
_CLONE_NEWNET = 0x40000000


class Network:
    """Machines by name, each with an address of ``NET``; all gone at the end of the block.

    A machine goes with all of its cables, once no process and no socket is on it any more.

    The tests themselves are on none of them: ``within`` has a thread's new sockets made there.
    """

    def __init__(self, machines: Sequence[str]) -> None:
        self._prefix = f"channels-{os.getpid()}-{random_letters(4)}"
        self._made = contextlib.ExitStack()  # all goes at the end, also when some of it fails to
        self.addresses = {name: f"{NET}.{n}" for n, name in enumerate([SWITCH, *machines], 1)}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as made:
            self._build(made)
            self._made = made.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._made.close()

    def _build(self, made: contextlib.ExitStack) -> None:
        for name in self.addresses:
            _ip("netns", "add", self._namespace(name))
            made.callback(_ip, "netns", "delete", self._namespace(name))
            self._on(name, "link", "set", "lo", "up")
        self._on(SWITCH, "link", "add", SWITCH, "type", "bridge")
        for name, address in self.addresses.items():
            if name == SWITCH:
                port = SWITCH
            else:
                port = "eth0"
                far = ("peer", "name", name, "netns", self._namespace(SWITCH))
                self._on(name, "link", "add", port, "type", "veth", *far)
                self._on(SWITCH, "link", "set", name, "master", SWITCH, "up")
            self._on(name, "address", "add", f"{address}/24", "dev", port)
            self._on(name, "link", "set", port, "up")

    def _namespace(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _on(self, name: str, *words: str) -> None:
        _ip("-netns", self._namespace(name), *words)

    # Where things are -------------------------------------------------------------------

    def command(self, name: str, command: Sequence[str | os.PathLike[str]]) -> list[str]:
        """``command`` as it is run on a machine; it is the process itself, with no other before."""
        return ["ip", "netns", "exec", self._namespace(name), *map(os.fspath, command)]

    @contextlib.contextmanager
    def within(self, name: str = SWITCH) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are on the machine, and stay there."""
        with open(f"/proc/self/task/{threading.get_native_id()}/ns/net") as home:
            _enter(f"/run/netns/{self._namespace(name)}")
            try:
                yield
            finally:
                _enter(f"/proc/self/fd/{home.fileno()}")

    # Faults -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """The machine's cable is out while the block runs."""
        self._on(SWITCH, "link", "set", name, "down")
        try:
            yield
        finally:
            self._on(SWITCH, "link", "set", name, "up")

    @contextlib.contextmanager
    def parted(self, one: str, other: str) -> Iterator[None]:
        """The two do not reach each other while the block runs; everybody else reaches both."""
        for name in (one, other):
            self._isolate(name, "on")
        try:
            yield
        finally:
            for name in (one, other):
                self._isolate(name, "off")

    def _isolate(self, name: str, state: str) -> None:
        kind = ("type", "bridge_slave", "isolated", state)
        self._on(SWITCH, "link", "set", name, *kind)


def need_namespaces() -> None:
    """Skip where this user may not make any; CI must be able to."""
    try:
        with Network([]):
            return
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI") == "true":
            raise
        reason = getattr(error, "stderr", "") or str(error)
        pytest.skip(f"network namespaces need root and iproute2 ({reason.strip()})")


def _ip(*words: str) -> None:
    """Raises ``CalledProcessError`` with what ``ip`` said."""
    command = ["ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        error.add_note(done.stderr)
        raise error


def _enter(path: str) -> None:
    """Move this thread; Python 3.12 has it as ``os.setns``."""
    with open(path) as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
