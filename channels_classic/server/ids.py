"""The id of each request and socket, which the log lines of servers and workers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels_classic.log import is_request_id

#: Where a scope holds the id that a trusted proxy has given.
GIVEN = "channels_classic.request_id"


def given(scope: Mapping[str, Any]) -> str | None:
    """What the header X-Request-ID says, if it can be an id: for peers that are trusted."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            request_id: str = value.decode("latin-1")
            return request_id if is_request_id(request_id) else None
    return None


def request_id(scope: Mapping[str, Any], reply_channel: str) -> str:
    """The given id; else one that follows from the reply channel, which no other one has."""
    found: str | None = scope.get(GIVEN)
    return found or reply_channel.rpartition(".")[2].replace("!", "-")
