"""Answers: the parts of an answer that have come and not gone to the client yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channels_classic.server.options import ServerOptions

Content = dict[str, Any]

#: How much of the end of a replay is compared with what groups send, in bytes.
_REPLAY = 64 * 1024


class Answers:
    """In the order in which they go out: what a group sends comes after the head of the answer.

    What is sent to the connection itself is bounded by its senders, who wait for room; what groups
    send is bounded here, by ``max_pending`` and ``max_pending_bytes``.

    An event that is sent while its stream begins is in what the stream begins with, and comes from
    its group as well: by its ``id`` it is known for the same, and goes out once.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._parts: deque[tuple[Content, bool]] = deque()
        self._early: list[Content] = []
        self._has_begun = False
        self._replay = b""
        #: How many parts of groups wait, and their bytes.
        self.pending = self.pending_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, content: Content, *, direct: bool) -> None:
        """Put one part behind the others."""
        is_head = not self._has_begun and "status" in content
        if is_head:
            self._has_begun = True
            self._replay = _body(content)[-_REPLAY:] if "heartbeat" in content else b""
        elif self._is_repeated(content, direct):
            return
        self._count(content, direct, 1)
        if direct or self._has_begun or "request" in content:
            self._parts.append((content, direct))
        else:
            self._early.append(content)
        if is_head:
            self._add_early()

    def _add_early(self) -> None:
        early, self._early = self._early, []
        for content in early:
            self._count(content, False, -1)
            self.add(content, direct=False)

    def _is_repeated(self, content: Content, direct: bool) -> bool:
        body = _body(content)
        return not direct and b"\nid: " in body and body in self._replay

    def _count(self, content: Content, direct: bool, number: int) -> None:
        if not direct:
            self.pending += number
            self.pending_bytes += number * len(_body(content))

    def forget_replay(self) -> None:
        """All that was sent while the stream began has come."""
        self._replay = b""

    def take(self) -> tuple[Content, bool]:
        """The next part, and whether its sender waits to hear that it has gone."""
        content, direct = self._parts.popleft()
        self._count(content, direct, -1)
        return content, direct

    def end(self) -> None:
        """Nothing more comes: let the answer end behind what waits."""
        self._parts.append(({"more_content": False}, False))
        self.pending += 1

    @property
    def are_too_many(self) -> bool:
        """Whether groups send more than the client reads."""
        options = self._options
        return self.pending > options.max_pending or self.pending_bytes > options.max_pending_bytes


def _body(content: Content) -> bytes:
    body = content.get("content")
    return body if isinstance(body, bytes) else b""
