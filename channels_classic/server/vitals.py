"""Vitals: whether this server and the bus get on, by one round trip a second."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from channels_classic.exceptions import LayerUnavailable
from channels_classic.progress import Progress

if TYPE_CHECKING:
    from channels_classic.server.bus import Bus
    from channels_classic.server.options import ServerOptions

#: The pause between two looks, in seconds.
EVERY = 1.0
#: Without a sign of life of its own for so long, a server is dead; or ``stalled_after`` if longer.
SILENCE = 30.0
#: The channels that requests and sockets are served by.
CHANNELS = ("http.request", "websocket.connect", "websocket.receive", "websocket.disconnect")


class Vitals:
    """Looks at the bus, whoever asks how often, and tells what is wrong."""

    def __init__(
        self, bus: Bus, options: ServerOptions, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._slow_bus = options.slow_bus
        self._silence = max(SILENCE, options.stalled_after)
        self._channels = list(dict.fromkeys((*CHANNELS, *options.probe_channels)))
        self._progress = Progress(options.stalled_after)
        self._asking_since: float | None = None
        self._round_trip = 0.0
        self._problem = ""
        self._heard = clock()
        self._first = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="vitals")

    async def stop(self) -> None:
        """Look no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def has_looked(self) -> None:
        """Wait for the first look, no longer than a bus may take that is not slow."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), self._slow_bus)

    async def _run(self) -> None:
        while True:
            await self._look()
            self._first.set()
            await asyncio.sleep(EVERY)

    async def _look(self) -> None:
        began = self._asking_since = self._clock()
        try:
            loads = await self._bus.layer.loads(self._channels)
        except LayerUnavailable:
            self._failed("the bus does not answer")
        except Exception as error:  # a mistake of ours or of a layer's must not end the looks
            text = f"Could not look at the channels of this server: {error!r}"
            self._bus.say(logging.ERROR, "vitals", text)
            self._failed("the bus cannot be looked at: the log says why")
        else:
            self._problem = ""
            self._round_trip = self._clock() - began
            self._progress.note(loads, now=self._clock())
        self._asking_since = None
        self._heard = self._clock()

    def _failed(self, problem: str) -> None:
        self._problem = problem
        self._progress.forget()

    def not_live(self) -> list[str]:
        """Why this server itself gets nothing done; of what is not its own fault, nothing."""
        now, found = self._clock(), []
        if now - self._heard > self._silence:
            found.append(f"this server has not looked at the bus for {now - self._heard:.0f} s")
        read = self._bus.replies.read_at
        if read is not None and now - read > self._silence:
            found.append(f"this server has not read its answers for {now - read:.0f} s")
        return found

    def not_ready(self) -> list[str]:
        """Why requests and sockets would not be served now, or late."""
        found = [self._problem] if self._problem else []
        took = self._round_trip
        if self._asking_since is not None:
            took = max(took, self._clock() - self._asking_since)
        if took >= self._slow_bus and not found:
            found.append(f"the bus takes {took:.1f} s to answer")
        return [*found, *map(str, self._progress.stalls())]
