"""This project's layer by its classic verbs: ``send`` and ``receive``, one message each."""

from __future__ import annotations

from benchmarks.sites.bus.ends import LAST, TEXT, Check, batches, main
from channels_classic.asgi import get_channel_layer

layer = get_channel_layer()


def send(channel: str, seconds: float) -> int:
    """One ``send`` for each message."""
    sent = 0
    for batch in batches(seconds):
        for number in batch:
            layer.send(channel, {"number": number, "text": TEXT})
        sent += len(batch)
    layer.send(channel, {"number": LAST, "text": TEXT})
    return sent


def receive(check: Check) -> None:
    """One ``receive`` for each message; it gives up after some seconds."""
    while not check.over:
        channel, content = layer.receive(["bench"], block=True)
        if channel is None or content is None:
            return
        check.got(content["number"])


if __name__ == "__main__":
    main(send, "bench", receive)
