"""Logging: one handler for the commands, and a bound on how often the same is said."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable

#: The same is said at most once in so many seconds.
EVERY = 10.0

handler = logging.StreamHandler()
handler.setFormatter(
    logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
)

#: The loggers that the commands show.
LOGGERS = ("channels_classic", "django.channels", "uvicorn.error")


def setup_logger(name: str, verbosity: int = 1) -> logging.Logger:
    """The logger ``name``, writing to stderr: INFO and up, DEBUG too when verbosity > 1."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    for each in {name, *LOGGERS}:
        logger = logging.getLogger(each)
        logger.setLevel(level)
        logger.propagate = False
        if handler not in logger.handlers:
            logger.addHandler(handler)
    return logging.getLogger(name)


class Sparingly:
    """Logs a thing at most once in ``EVERY`` seconds, and then how often it was left out."""

    def __init__(
        self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[Hashable, tuple[float, int]] = {}

    def __call__(self, level: int, thing: Hashable, text: str) -> None:
        """Log ``text`` about ``thing``, unless something was said about it just now."""
        now = self._clock()
        with self._lock:
            last, left_out = self._said.get(thing, (now - EVERY, 0))
            if now - last < EVERY:
                self._said[thing] = last, left_out + 1
                return
            self._forget_old(now)
            self._said[thing] = now, 0
        more = f" [and {left_out} more times in the last {now - last:.0f} s]" if left_out else ""
        self._logger.log(level, "%s%s", text, more)

    def _forget_old(self, now: float) -> None:
        """Things of long ago must not fill the memory."""
        if len(self._said) > 1000:
            self._said = {k: v for k, v in self._said.items() if now - v[0] < EVERY}
