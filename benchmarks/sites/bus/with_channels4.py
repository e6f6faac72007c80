"""A layer of channels_redis, one message after the other, in one event loop for all orders."""

from __future__ import annotations

import asyncio

import django
from channels.layers import get_channel_layer

from benchmarks.sites.bus.ends import LAST, TEXT, Check, batches, main

django.setup()
layer = get_channel_layer()
loop = asyncio.new_event_loop()


def send(channel: str, seconds: float) -> int:
    """One ``send`` for each message."""

    async def all_of_them() -> int:
        sent = 0
        for batch in batches(seconds):
            for number in batch:
                await layer.send(channel, {"number": number, "text": TEXT})
            sent += len(batch)
        await layer.send(channel, {"number": LAST, "text": TEXT})
        return sent

    return loop.run_until_complete(all_of_them())


def receive(check: Check) -> None:
    """One ``receive`` for each message."""

    async def all_of_them() -> None:
        while not check.over:
            check.got((await layer.receive(channel))["number"])

    loop.run_until_complete(asyncio.wait_for(all_of_them(), 60))


if __name__ == "__main__":
    # Only a channel of this kind is known to both of its layers before a message comes.
    channel = loop.run_until_complete(layer.new_channel("bench"))
    main(send, channel, receive)
