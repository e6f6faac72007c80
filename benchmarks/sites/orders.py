"""How a sender process is told what to send, one JSON line an order, and how it answers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

#: Nanoseconds on a clock that all processes of a machine share.
now = time.monotonic_ns


@dataclass(frozen=True)
class Order:
    """Send ``count`` texts ``"<number> <sent at>"`` to ``group``, ``gap`` seconds apart."""

    group: str
    first: int
    count: int
    gap: float


def read() -> Iterator[Order]:
    """Each order from stdin, until it is closed; says first that it is ready."""
    print("ready", flush=True)
    for line in sys.stdin:
        yield Order(**json.loads(line))


def answer(cost: list[int]) -> None:
    """The order is carried out; ``cost`` is what each send took the sender, in nanoseconds."""
    print(json.dumps(cost), flush=True)
