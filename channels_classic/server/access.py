"""The access log: one line for each finished request and each step of a WebSocket."""

from __future__ import annotations

import time
from typing import Any, TextIO

_VERBS = {
    "connecting": "WSCONNECTING",
    "connected": "WSCONNECT",
    "rejected": "WSREJECT",
    "disconnected": "WSDISCONNECT",
}


class AccessLog:
    """Writes lines like those of the NCSA common log format to ``stream``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """Log ``action``; its details are the path, the client and, for HTTP, the outcome."""
        if protocol == "http":
            request = f"{details['method']} {details['path']}"
            outcome = f"{details['status'] or '-'} {details['size'] or '-'}"
        else:
            request, outcome = f"{_VERBS[action]} {details['path']}", "- -"
        when = time.strftime("%d/%b/%Y:%H:%M:%S")
        client = details["client"] or "-"
        self._stream.write(f'{client} - - [{when}] "{_printable(request)}" {outcome}\n')
        self._stream.flush()


def _printable(text: str) -> str:
    """No client writes lines, quotes or terminal codes of its own into the log."""
    return "".join(c if c.isprintable() and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
