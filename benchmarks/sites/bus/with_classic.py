"""This project's layer, as a worker uses it: sends of a consumer together, messages by batches."""

from __future__ import annotations

import time

from benchmarks.sites.bus.ends import LAST, SILENCE, TEXT, Check, batches, main
from channels_classic.asgi import get_channel_layer
from channels_classic.layers.traffic import Delivery
from channels_classic.pace import LARGEST_BATCH

layer = get_channel_layer()


def send(channel: str, seconds: float) -> int:
    """As many sends at a time as a batch has."""
    sent = 0
    for batch in batches(seconds):
        deliver(channel, *batch)
        sent += len(batch)
    deliver(channel, LAST)
    return sent


def deliver(channel: str, *numbers: int) -> None:
    """What an outbox does when its consumer has ended."""
    contents = [{"number": number, "text": TEXT} for number in numbers]
    if layer.deliver([layer.prepare(channel, content) for content in contents]):
        raise RuntimeError(f"{channel} is full: raise its capacity in the settings")


def receive(check: Check) -> None:
    """As one thread of a worker takes them, each acknowledged with the next exchange."""
    receiver = layer.receiver(["bench"])
    done: list[Delivery] = []
    heard = time.monotonic()
    while not check.over and time.monotonic() - heard < SILENCE:
        found = receiver.exchange(done=done, sends=[], limit=LARGEST_BATCH, timeout=1)
        done = found.deliveries
        for delivery in done:
            heard = time.monotonic()
            check.got(delivery.content["number"])
    receiver.settle(done, [])
    receiver.close()


if __name__ == "__main__":
    main(send, "bench", receive)
