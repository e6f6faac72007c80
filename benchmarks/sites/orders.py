"""How a sender process is told what to send, one JSON line an order, and how it answers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Nanoseconds on a clock that all processes of a machine share.
now = time.monotonic_ns


@dataclass(frozen=True)
class Order:
    """Send ``count`` times to ``to``, a group or a task, numbered from ``first`` on.

    Each ``gap`` seconds after the one before; none any more once ``seconds`` are over.
    """

    to: str
    first: int
    count: int
    gap: float
    seconds: float


def read() -> Iterator[Order]:
    """Each order from stdin, until it is closed; says first that it is ready."""
    print("ready", flush=True)
    for line in sys.stdin:
        yield Order(**json.loads(line))


def answer(cost: list[int]) -> None:
    """The order is carried out; ``cost`` is what each send took the sender, in nanoseconds."""
    print(json.dumps(cost), flush=True)


def numbers(order: Order) -> Iterator[int]:
    """The number of each send that the order asks for, until its time is over."""
    end = now() + int(order.seconds * 1e9)
    for number in range(order.first, order.first + order.count):
        if now() >= end:
            return
        yield number


def carry_out(send: Callable[[str, int, int], None]) -> None:
    """All orders, with ``send(to, number, now)`` for each send."""
    for order in read():
        cost = []
        for number in numbers(order):
            started = now()
            send(order.to, number, started)
            cost.append(now() - started)
            if order.gap:
                time.sleep(order.gap)
        answer(cost)
