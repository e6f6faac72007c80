"""Duty: what a worker process is doing and has done, as it reports to those who run the site."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.traffic import Content
from channels_classic.utils import name_that_thing

if TYPE_CHECKING:
    from channels_classic.async_runner import AsyncRunner
    from channels_classic.hands import Hand

logger = logging.getLogger("channels_classic.worker")

#: Seconds between two rounds.
EVERY = 1.0
#: Consumers that a report names at most, and letters of each name.
MOST, LONGEST = 100, 200


class Duty:
    """One for all threads of a process; each of these adds its ``hand``."""

    def __init__(
        self,
        runner: AsyncRunner,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hands: list[Hand] = []
        #: How many there will be.
        self.threads = 1
        self._runner = runner
        self._clock = clock
        self._began = clock()

    def report(self, channels: list[str]) -> Content:
        """What there is to say of a process that reads ``channels``; durations are in seconds."""
        now = self._clock()
        last = max((hand.tally.completed_at for hand in self.hands), default=None)
        return {
            "kind": "worker",
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "uptime": now - self._began,
            "threads": self.threads,
            "channels": channels,
            "completed": dict(sum((Counter(h.tally.totals) for h in self.hands), Counter())),
            "progress": None if not last else now - last,
            "running": list(itertools.islice(self._running(now), MOST)),
        }

    def _running(self, now: float) -> Iterator[dict[str, Any]]:
        on_threads = ((hand.current, hand.consumer, hand.began) for hand in list(self.hands))
        for delivery, consumer, began in (*on_threads, *self._runner.running):
            if delivery is not None and consumer is not None and began is not None:
                yield {
                    "channel": delivery.channel,
                    "consumer": name_that_thing(consumer)[:LONGEST],
                    "seconds": max(0.0, now - began),
                    "request_id": _text(delivery.content.get("request_id")),
                }


def _text(value: Any) -> str:
    """Anybody may have sent the message, with anything in it."""
    return value[:LONGEST] if isinstance(value, str) else ""


class Rounds:
    """Calls ``call`` now and each second, as long as its ``with`` block runs.

    On a thread of its own: a bus that answers late must not make the worker's beat late, too.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._call()
            except LayerUnavailable:
                pass  # the loop of the worker says so
            except Exception:  # a mistake in it must not end the rounds
                logger.exception("Error in the rounds of a worker")
            if self._ended.wait(EVERY):
                return
