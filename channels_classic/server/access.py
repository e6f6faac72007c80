"""The access log: one line for each finished request and each step of a WebSocket."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from channels_classic.log import Sparingly

_VERBS = {
    "connecting": "WSCONNECTING",
    "connected": "WSCONNECT",
    "rejected": "WSREJECT",
    "disconnected": "WSDISCONNECT",
}
#: Seconds between two looks whether a log file was moved away.
_EVERY = 1.0

_say = Sparingly(logging.getLogger("channels_classic.server"))

Details = dict[str, Any]


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object:
        """Take ``text``."""

    def flush(self) -> object:
        """Put out what was taken."""


class AccessLog:
    """Writes lines in one of the ``FORMATS`` to ``stream``; an action logger of servers.

    What cannot be written, as when a disk is full, is lost; the log of the server says so.
    """

    def __init__(self, stream: Stream, style: str = "classic") -> None:
        self._stream = stream
        self._line = FORMATS[style]

    def __call__(self, protocol: str, action: str, details: Details) -> None:
        """Log ``action``; its details are the path, the client and, for HTTP, the outcome."""
        try:
            self._stream.write(self._line(protocol, action, details) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:  # a closed file is the latter
            _say(logging.ERROR, "access log", f"Could not write to the access log: {error}")


class LogFile:
    """A file that is appended to, and opened anew when it was moved away or removed.

    Programs that rotate logs need give no signal. Raises ``OSError`` when it cannot be opened at
    first; later, what was open before stays in use until it can.
    """

    def __init__(self, path: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._file = self._open()
        self._look_at = clock() + _EVERY

    def _open(self) -> TextIO:
        return open(self._path, "a", encoding="utf-8", errors="backslashreplace")

    def write(self, text: str) -> None:
        """Append ``text``, once it is flushed."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _EVERY
            self._follow()
        self._file.write(text)

    def _follow(self) -> None:
        try:
            if os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
                return
        except FileNotFoundError:
            pass
        try:
            file = self._open()
        except OSError as error:
            _say(logging.ERROR, "log file", f"Could not open {self._path} anew: {error.strerror}")
            return
        self._file.close()
        self._file = file

    def flush(self) -> None:
        """Write what was appended."""
        self._file.flush()

    def close(self) -> None:
        """Write no more."""
        self._file.close()


# The formats ------------------------------------------------------------------------------


def _classic(protocol: str, action: str, details: Details) -> str:
    """As Channels 1 wrote it: with the port, and the time of this machine without its zone."""
    when = time.strftime("%d/%b/%Y:%H:%M:%S")
    request = _request(protocol, action, details)
    client = details["client"] or "-"
    return f'{client} - - [{when}] "{request}" {_outcome(protocol, details)}'


def _common(protocol: str, action: str, details: Details) -> str:
    """The NCSA common log format, as Apache and nginx write it."""
    when = time.strftime("%d/%b/%Y:%H:%M:%S %z")
    request = _request(protocol, action, details)
    if protocol == "http":
        request += f" HTTP/{details.get('http_version', '1.1')}"
    client = (details["client"] or "-").rpartition(":")[0] or "-"
    return f'{client} - - [{when}] "{request}" {_outcome(protocol, details)}'


def _combined(protocol: str, action: str, details: Details) -> str:
    """The same, and whence the client came, and with what."""
    referer, agent = (_header(details, name) or "-" for name in (b"referer", b"user-agent"))
    line = _common(protocol, action, details)
    return f'{line} "{_printable(referer)}" "{_printable(agent)}"'


def _json(protocol: str, action: str, details: Details) -> str:
    """One JSON object, in ASCII; what there is none of is null."""
    line = {
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": details.get("request_id") or None,
        "event": "request" if protocol == "http" else action,
        "client": details["client"],
        "scheme": details.get("scheme"),
    }
    if protocol == "http":
        line |= {"http_version": details.get("http_version"), "method": details["method"]}
    line["path"] = details["path"]
    if protocol == "http":
        line |= {"status": details["status"] or None, "size": details["size"]}
    elif action == "disconnected":
        line["code"] = details.get("code")
    if "time_taken" in details:
        line["duration"] = round(details["time_taken"], 6)
    if trace := details.get("trace_id"):
        line["trace_id"] = trace
    line |= {
        "referer": _header(details, b"referer"),
        "user_agent": _header(details, b"user-agent"),
    }
    return json.dumps(line)


#: By their names, what makes a line of an action.
FORMATS: dict[str, Callable[[str, str, Details], str]] = {
    "classic": _classic,
    "common": _common,
    "combined": _combined,
    "json": _json,
}


def _request(protocol: str, action: str, details: Details) -> str:
    verb = details["method"] if protocol == "http" else _VERBS[action]
    return _printable(f"{verb} {details['path']}")


def _outcome(protocol: str, details: Details) -> str:
    return f"{details['status'] or '-'} {details['size'] or '-'}" if protocol == "http" else "- -"


def _header(details: Details, wanted: bytes) -> str | None:
    for name, value in details.get("headers", ()):
        if name == wanted:
            text: str = value.decode("latin-1")
            return text
    return None


def _printable(text: str) -> str:
    """No client writes lines, quotes or terminal codes of its own into the log."""
    if text.isprintable() and '"' not in text and "\\" not in text:  # as nearly always
        return text
    return "".join(c if c.isprintable() and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
