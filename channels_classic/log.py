"""Logging: one handler for the commands, request ids, and a bound on how often the same is said."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Hashable
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from typing import Any

from channels_classic.tracing import trace_id

#: The same is said at most once in so many seconds.
EVERY = 10.0

#: What may be the id of a request: no client writes lines of its own into logs.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_request_id: ContextVar[str] = ContextVar("channels_classic_request_id", default="")


def is_request_id(value: Any) -> bool:
    """Whether ``value`` can be the id of a request."""
    return isinstance(value, str) and _REQUEST_ID.fullmatch(value) is not None


def request_id() -> str:
    """The id of the request or socket that is being served here; empty if none is.

    In consumers and views it is that of their message, whose key ``request_id`` carries it.
    """
    return _request_id.get()


class serving:
    """In the block the request with this id is served; what cannot be an id is none.

    Anybody may have sent a message, with anything in it.
    """

    __slots__ = ("_request_id", "_token")

    def __init__(self, request_id: Any) -> None:
        self._request_id = request_id if is_request_id(request_id) else ""

    def __enter__(self) -> None:
        self._token: Token[str] = _request_id.set(self._request_id)

    def __exit__(self, *error: object) -> None:
        _request_id.reset(self._token)


class RequestIdFilter(logging.Filter):
    """Gives each record a ``request_id``, ``-`` where there is none: for your LOGGING."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        record.request_id = request_id() or "-"
        return True


class _Lines(logging.Formatter):
    """Time, level, the id of the request if there is one, text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(about)s%(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        found = request_id()
        record.about = f"[{found}] " if found else ""
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: for your LOGGING, and for ``--log-format json``.

    ``request_id`` is null where no request is served; ``trace_id`` and ``exception`` are there
    only where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of ``record``; what is said in it never breaks it."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id() or None,
        }
        if trace := trace_id():
            line["trace_id"] = trace
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


#: By their names, what makes lines of the records of the commands.
FORMATS: dict[str, Callable[[], logging.Formatter]] = {"text": _Lines, "json": JsonFormatter}

handler = logging.StreamHandler()
handler.setFormatter(_Lines())

#: The loggers that the commands show.
LOGGERS = ("channels_classic", "django.channels", "uvicorn.error")


def setup_logger(name: str, verbosity: int = 1, style: str = "text") -> logging.Logger:
    """The logger ``name``, writing to stderr: INFO and up, DEBUG too when verbosity > 1.

    ``style`` is one of the ``FORMATS``.
    """
    handler.setFormatter(FORMATS[style]())
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
