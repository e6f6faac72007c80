"""The beat of a worker process: servers hear every few seconds which channels it reads."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.names import random_letters

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

#: Seconds between two beats, and how long one is good for.
INTERVAL = 2.0
TTL = 10.0


class Beat:
    """Announces a worker as long as its ``with`` block runs, whatever its consumers do."""

    def __init__(self, layer: ChannelLayerWrapper, channels: list[str]) -> None:
        self._layer = layer
        self._channels = channels
        self._name = random_letters(12)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def __enter__(self) -> Self:
        self._announce()  # before the first message is taken: no server need say 503 any more
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._announce()
        try:
            self._layer.withdraw(self._name, self._channels)
        except LayerUnavailable:
            return  # the announcement ends by itself

    def _announce(self) -> None:
        try:
            self._layer.announce(self._name, self._channels, ttl=TTL)
        except LayerUnavailable:
            return  # the worker's own loop says so; the next beat tries again
