"""EventStream: what the server does for server-sent events while there are none to send."""

from __future__ import annotations

import math
from collections.abc import Iterable

#: A comment of an event stream, which browsers pass over.
BEAT = b":\n"


class EventStream:
    """An answer of the type ``text/event-stream`` that has begun.

    ``heartbeat`` are the seconds between comments while nothing else is sent; 0 is none. One that
    ``is_endless`` may be silent for as long as it likes: nobody is at work on it.
    """

    def __init__(self, heartbeat: float, *, is_endless: bool, is_encoded: bool = False) -> None:
        #: Seconds of silence until a comment is due.
        self.pause = heartbeat or math.inf
        self.is_endless = is_endless
        self._is_encoded = is_encoded
        self._at_line_start = True

    def passed_on(self, body: bytes) -> None:
        """Note what has gone to the client."""
        if body:
            self._at_line_start = body.endswith(b"\n")

    def beat(self) -> bytes:
        """What to send now; nothing in the middle of a line, or of what is compressed."""
        return BEAT if self._at_line_start and not self._is_encoded else b""


def stream_of(
    headers: Iterable[tuple[bytes, bytes]], *, heartbeat: float, own_heartbeat: float | None
) -> EventStream | None:
    """The event stream that an answer with ``headers`` is, or None for any other answer.

    ``own_heartbeat`` is the answer's own: who gives one leaves the stream to groups.
    """
    found = dict(headers)
    if not found.get(b"content-type", b"").lower().startswith(b"text/event-stream"):
        return None
    return EventStream(
        heartbeat if own_heartbeat is None else own_heartbeat,
        is_endless=own_heartbeat is not None,
        is_encoded=found.get(b"content-encoding", b"identity") != b"identity",
    )
