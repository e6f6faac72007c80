"""WebSocket load: echoes, connects and idle sockets, every answer checked."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.sockets import Crowd, Refused, Socket, percentile, text_frame, until


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pauses of the load generator must not count as the server's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass
class EchoRun:
    """What the echo sockets share: the latencies so far, and whether to go on."""

    seconds: list[float] = field(default_factory=list)
    going: bool = True
    wrong: int = 0
    inverted: int = 0
    in_flight: int = 0


class EchoSocket(Socket):
    """Keeps some texts in flight: each that comes back is compared and followed by the next."""

    run: EchoRun
    number = 0

    def begin(self, run: EchoRun, window: int) -> None:
        """Send the first ``window`` texts."""
        self.run = run
        self._waiting: dict[bytes, float] = {}
        run.in_flight += window
        for _ in range(window):
            self._send_next()

    def _send_next(self) -> None:
        if self.closed.done():
            return  # it stays in flight, so that it counts as lost
        self.number += 1
        text = b"socket %012x text %08d" % (id(self), self.number)
        self._waiting[text] = time.perf_counter()
        self.write(text_frame(text))

    def text_received(self, text: bytes) -> None:
        run, waiting = self.run, self._waiting
        oldest = next(iter(waiting), b"")
        sent = waiting.pop(text, None)
        if sent is None:
            run.wrong += 1  # and what it stands for is still waited for
            return
        run.seconds.append(time.perf_counter() - sent)
        run.inverted += text != oldest
        if run.going:
            self._send_next()
        else:
            run.in_flight -= 1


@dataclass(frozen=True)
class Echoes:
    """What an echo run measured; ``lost`` were not answered within the deadline.

    ``inverted`` came before one that was sent earlier on the same socket.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    count: int
    wrong: int
    inverted: int
    lost: int


async def echo(port: int, path: str, *, sockets: int, seconds: float, window: int = 1) -> Echoes:
    """Each of ``sockets`` has ``window`` texts in flight for ``seconds``, after a warm-up."""
    crowd = Crowd(port, EchoSocket, path)
    try:
        await crowd.open(sockets)
        with without_garbage_collection():
            return await _echo(crowd, seconds, window)
    finally:
        await crowd.close()


async def _echo(crowd: Crowd[EchoSocket], seconds: float, window: int) -> Echoes:
    run = EchoRun()
    for socket in crowd.sockets:
        socket.begin(run, window)
    await asyncio.sleep(min(0.5, seconds / 4))
    warm, started = len(run.seconds), time.perf_counter()
    await asyncio.sleep(seconds)
    took, measured = time.perf_counter() - started, run.seconds[warm:]
    run.going = False
    await until(lambda: run.in_flight == 0, within=10)
    return Echoes(
        per_second=len(measured) / took,
        p50_ms=percentile(measured, 50) * 1000,
        p99_ms=percentile(measured, 99) * 1000,
        count=len(run.seconds),
        wrong=run.wrong,
        inverted=run.inverted,
        lost=run.in_flight,
    )


@dataclass(frozen=True)
class Connects:
    """How many handshakes a second were accepted, each closed again; and how many were not."""

    per_second: float
    p99_ms: float
    refused: int


async def connect(port: int, path: str, *, at_once: int, seconds: float) -> Connects:
    """Open and close sockets, ``at_once`` side by side, for ``seconds``."""
    crowd = Crowd(port, Socket, path)
    taken: list[float] = []
    refused = 0
    end = time.perf_counter() + seconds

    async def keep_connecting() -> None:
        nonlocal refused
        while (began := time.perf_counter()) < end:
            try:
                socket = await crowd.open_one()
            except (Refused, OSError, TimeoutError):
                refused += 1
                continue
            taken.append(time.perf_counter() - began)
            await socket.close()

    began = time.perf_counter()
    with without_garbage_collection():
        await asyncio.gather(*(keep_connecting() for _ in range(at_once)))
    return Connects(
        per_second=len(taken) / (time.perf_counter() - began),
        p99_ms=percentile(taken, 99) * 1000,
        refused=refused,
    )


async def kib_per_socket(port: int, path: str, *, pid: int, sockets: int) -> float:
    """How much the process ``pid`` grows with each idle socket, once it is warm."""
    crowd = Crowd(port, Socket, path)
    try:
        await crowd.open(sockets // 5)
        before = resident_kib(pid)
        await crowd.open(sockets)
        return (resident_kib(pid) - before) / sockets
    finally:
        await crowd.close()


def resident_kib(pid: int) -> int:
    """The memory that the process itself holds."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no RssAnon")
