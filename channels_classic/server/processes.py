"""Processes: a parent with the listening sockets, and the servers that it keeps running on them."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from channels_classic.backoff import growing_pauses
from channels_classic.server.family import VARIABLE, Inheritance
from channels_classic.server.figures import Gathered
from channels_classic.stopping import on_stop

logger = logging.getLogger("channels_classic.server")

#: How long a process that is to take over from another may take to be ready, in seconds.
STARTING = 60.0
#: The first and the longest pause before a process is replaced that has died, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
#: After how long at work its death is no sign of trouble at the start, in seconds.
_STEADY = 30.0
#: How often it is looked whether a pause is over, in seconds; there is none most of the time.
_POLL = 0.1


@dataclass(eq=False)
class _Child:
    popen: subprocess.Popen[bytes]
    generation: int
    #: Its end is closed to have it leave; the child sees that also when this process has died.
    life: int
    #: Tells when the child is ready, and, by its end, when it is gone.
    news: int
    started: float = field(default_factory=time.monotonic)
    ready: bool = False
    leaving: bool = False

    def leave(self) -> None:
        """Have it finish what is in flight, and end."""
        if not self.leaving:
            self.leaving = True
            os.close(self.life)


class Processes:
    """``number`` processes that run ``command`` on ``sockets``, each started anew when it dies.

    They are fresh interpreters: a new one has the code, the settings and the certificates of its
    time, and shares nothing with this process but the sockets. ``on_ready`` is called when the
    first of them serves.
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        number: int,
        *,
        on_ready: Callable[[], None],
    ) -> None:
        self._command = list(command)
        self._sockets = sockets
        self._number = number
        self._on_ready = on_ready
        self._folder = _folder()
        self._figures = Gathered()
        self._children: list[_Child] = []
        self._generation = 0
        self._started = self._stopping = False
        self._status = 0
        self._pauses = growing_pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._not_before = 0.0
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = socket.socketpair()
        self._rope.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)

    # What signals ask for ---------------------------------------------------------------

    def stop(self) -> None:
        """Have all of them finish what is in flight. For signal handlers."""
        self._stopping = True
        self._ring()

    def replace(self) -> None:
        """Put new ones in the places of all, one after the other. For signal handlers."""
        self._generation += 1
        self._ring()

    def kill(self) -> None:
        """End all of them at once. For signal handlers."""
        for child in self._children:
            child.popen.kill()

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it has been rung
            self._rope.send(b"!")

    # The loop ---------------------------------------------------------------------------

    def run(self) -> int:
        """Keep them running until asked to stop; 0, or the status of one that could not start."""
        try:
            with on_stop(self.stop, at_once=self.kill), _on_hangup(self.replace):
                while self._children or not self._stopping:
                    self._step()
        finally:
            self.kill()
            self._figures.remove()
            self._selector.close()
            self._bell.close()
            self._rope.close()
        return self._status

    def _step(self) -> None:
        if self._stopping:
            for child in self._children:
                child.leave()
        else:
            self._give_up_late_ones()
            self._start_next()
        waits = time.monotonic() < self._not_before or any(not c.ready for c in self._children)
        for key, _ in self._selector.select(_POLL if waits else None):
            if key.fileobj is self._bell:
                self._bell.recv(64)
            else:
                self._hear(key.data)

    def _hear(self, child: _Child) -> None:
        if not os.read(child.news, 16):
            self._gone(child)
        elif not self._stopping:
            self._ready(child)

    def _staff(self) -> list[_Child]:
        return [child for child in self._children if not child.leaving]

    def _has_old_ones(self) -> bool:
        return any(child.generation < self._generation for child in self._staff())

    # Who starts, and who leaves -----------------------------------------------------------

    def _start_next(self) -> None:
        """One at a time; and while some are replaced, only when the last one replaced has gone."""
        staff = self._staff()
        if time.monotonic() < self._not_before or not all(child.ready for child in staff):
            return
        nobody_leaves = len(staff) == len(self._children)
        if len(staff) < self._number or (self._has_old_ones() and nobody_leaves):
            self._start()

    def _start(self) -> None:
        try:
            child = self._spawn()
        except OSError as error:
            if not self._started:
                raise
            self._failed("A process", f"cannot be started ({error})")
        else:
            self._children.append(child)
            self._selector.register(child.news, selectors.EVENT_READ, child)

    def _spawn(self) -> _Child:
        life_of_child, life = os.pipe()
        news, news_of_child = os.pipe()
        inheritance = Inheritance(
            life_of_child, news_of_child, [each.fileno() for each in self._sockets]
        )
        try:
            popen = subprocess.Popen(
                self._command,
                env={
                    **os.environ,
                    **self._figures.environment,
                    VARIABLE: inheritance.to_text(speaks=not self._started),
                },
                pass_fds=inheritance.descriptors,
                cwd=self._folder,
            )
        except OSError:
            os.close(life)
            os.close(news)
            raise
        finally:
            os.close(life_of_child)
            os.close(news_of_child)
        return _Child(popen, self._generation, life, news)

    def _ready(self, child: _Child) -> None:
        child.ready = True
        logger.info("Process %d serves", child.popen.pid)
        if not self._started:
            self._started = True
            self._on_ready()
        staff = self._staff()
        if len(staff) > self._number:
            oldest = min(staff, key=lambda each: each.generation)
            logger.info("Process %d leaves", oldest.popen.pid)
            oldest.leave()

    def _gone(self, child: _Child) -> None:
        self._selector.unregister(child.news)
        os.close(child.news)
        expected = child.leaving or self._stopping
        child.leave()
        status = child.popen.wait()
        self._figures.forget(child.popen.pid)
        self._children.remove(child)
        if expected:
            return
        if not self._started:
            self._status = status if status > 0 else 128 - status
            self._stopping = True
            return
        if child.ready and time.monotonic() - child.started > _STEADY:
            self._pauses = growing_pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        told = f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
        self._failed(f"Process {child.popen.pid}", told, was_ready=child.ready)

    def _failed(self, who: str, told: str, *, was_ready: bool = False) -> None:
        """Keep those that were to be replaced, if the new one is no good; else try again."""
        if not was_ready and self._has_old_ones():
            for each in self._staff():
                each.generation = self._generation
            logger.error("%s %s before it was ready: those that run go on", who, told)
            return
        pause = next(self._pauses)
        self._not_before = time.monotonic() + pause
        logger.error("%s %s: another starts in %g s", who, told, pause)

    def _give_up_late_ones(self) -> None:
        for child in self._children:
            late = not child.ready and time.monotonic() - child.started > STARTING
            if late and self._has_old_ones() and child.popen.poll() is None:
                logger.error("Process %d is not ready after %g s", child.popen.pid, STARTING)
                child.popen.kill()
                child.popen.wait()


def _folder() -> str | None:
    """The folder to start processes in: by its name, which may soon stand for a newer one."""
    named = os.environ.get("PWD")
    try:
        return named if named and os.path.samefile(named, ".") else None
    except OSError:
        return None


@contextlib.contextmanager
def _on_hangup(call: Callable[[], None]) -> Iterator[None]:
    """SIGHUP calls ``call`` within the block."""
    before = signal.signal(signal.SIGHUP, lambda number, frame: call())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL if before is None else before)
