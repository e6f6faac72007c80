"""The two ends of a bus in processes of their own: how they are told, and what they answer.

The sender numbers its messages from 0 on; -1 is the last one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator

now = time.monotonic_ns

#: In every message, beside its number.
TEXT = "x" * 100
LAST = -1
#: Messages between two looks at the clock, and in one batch where there are batches.
BATCH = 50
#: Seconds without a message after which the receiver gives up.
SILENCE = 5.0


class Check:
    """Whether all numbers come, in their order, each once."""

    def __init__(self) -> None:
        self.count = self.wrong = self.ended = 0
        self.over = False

    def got(self, number: int) -> None:
        """One message came."""
        self.ended = now()
        if number == LAST:
            self.over = True
            return
        self.wrong += number != self.count
        self.count += 1


def serve_receiver(channel: str, receive: Callable[[Check], None]) -> None:
    """Say what ``channel`` is read; for each line on stdin, receive and say what came."""
    print(channel, flush=True)
    for _ in sys.stdin:
        check = Check()
        receive(check)
        print(json.dumps({"count": check.count, "wrong": check.wrong, "ended": check.ended}))
        sys.stdout.flush()


def batches(seconds: float) -> Iterator[range]:
    """The numbers of the messages to send, in batches, until ``seconds`` are over."""
    end, first = now() + int(seconds * 1e9), 0
    while now() < end:
        yield range(first, first + BATCH)
        first += BATCH


def serve_sender(send: Callable[[str, float], int]) -> None:
    """For each order on stdin, ``send(channel, seconds)``, which says how many; answer that."""
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        began = now()
        sent = send(order["channel"], order["seconds"])
        print(json.dumps({"sent": sent, "began": began}), flush=True)


def main(send: Callable[[str, float], int], channel: str, receive: Callable[[Check], None]) -> None:
    """Be the end that the command line names."""
    if sys.argv[1] == "send":
        serve_sender(send)
    else:
        serve_receiver(channel, receive)
