"""Sends the frames of the live page and records its history, on a thread of a worker process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import LayerUnavailable
from channels_classic.log import Sparingly
from channels_classic.monitor import history, viewers
from channels_classic.monitor.lead import Lead
from channels_classic.monitor.looker import Looker
from channels_classic.monitor.lookers import Lookers

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

logger = logging.getLogger("channels_classic.monitor")
_say = Sparingly(logger)


class Turn:
    """What is due once a second, if this process leads."""

    def __init__(
        self,
        looker: Looker,
        *,
        clock: Callable[[], float] = time.monotonic,
        lead: Lead | None = None,
    ) -> None:
        self._looker = looker
        self._layer = looker.layer
        self._ledger = looker.layer.channel_layer.ledger
        self._limits = looker.limits
        self._clock = clock
        self._lead = lead or Lead(self._ledger.claim)
        self._sampled = self._checked = clock() - 1e9

    def take(self) -> None:
        """Record a sample if it is time, and show a frame if anybody looks."""
        if not self._lead.is_mine():
            return
        is_looked_at = self._is_looked_at()
        if is_looked_at:
            self._check()
        if not (is_looked_at or self._is_time_for_a_sample()):
            return
        found = self._looker.look()
        if self._is_time_for_a_sample():
            self._sampled = self._clock()
            self._ledger.record(history.sample(found), limit=self._limits.samples)
        if is_looked_at:
            viewers.show(self._layer, {"frame": self._looker.frame(found)})

    def _is_looked_at(self) -> bool:
        """While a part of the bus is away nobody is counted: the others still make a sample."""
        try:
            return viewers.are_there(self._layer)
        except LayerUnavailable:
            return False

    def _is_time_for_a_sample(self) -> bool:
        """Turns do not come to the millisecond."""
        return self._clock() - self._sampled >= self._limits.sample - 0.5

    def _check(self) -> None:
        if self._clock() - self._checked >= self._limits.check:
            self._checked = self._clock()
            viewers.dismiss_others(self._layer)


class Pusher:
    """Takes turns when a worker beats; its thread begins with the first of them."""

    def __init__(self, lookers: Lookers) -> None:
        self._lookers = lookers
        self._turn: tuple[ChannelLayerWrapper, Turn] | None = None
        self._layer: ChannelLayerWrapper | None = None
        self._due = threading.Event()
        self._thread: threading.Thread | None = None

    def on_beat(self, *, layer: ChannelLayerWrapper) -> None:
        """A worker has beaten: this returns at once, so that no beat is late."""
        if layer.alias != DEFAULT_CHANNEL_LAYER:
            return
        self._layer = layer
        self._due.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            try:
                self._turn_on_the_layer().take()
            except LayerUnavailable:
                pass  # the loop of the worker says so
            except Exception as error:  # a mistake in it must not end the frames
                logger.debug("Error in the monitor", exc_info=True)
                _say(logging.ERROR, str(type(error)), f"Error in the monitor: {error!r}")

    def _turn_on_the_layer(self) -> Turn:
        """The one from before, unless the settings have another layer by now."""
        assert self._layer is not None
        if self._turn is None or self._turn[0] is not self._layer:
            self._turn = self._layer, Turn(self._lookers.of(self._layer))
        return self._turn[1]
