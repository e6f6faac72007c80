"""HttpClient, the older name of WSClient."""

from __future__ import annotations

import warnings
from typing import Any

from channels_classic.test.websocket import WSClient

__all__ = ["HttpClient", "WSClient"]


class HttpClient(WSClient):
    """``WSClient`` under the name that it had first: deprecated."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn("HttpClient is now WSClient", DeprecationWarning, stacklevel=2)
        super().__init__(*args, **kwargs)
