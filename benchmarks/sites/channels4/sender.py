"""Sends to groups of Channels 4 from a process of its own."""

from __future__ import annotations

import asyncio

import django
from channels.layers import get_channel_layer

from benchmarks.sites import orders


async def main() -> None:
    """Carry out the orders from stdin; one event loop, so that connections are kept."""
    django.setup()
    layer = get_channel_layer()

    async def send(group: str, text: str) -> None:
        await layer.group_send(group, {"type": "bench.text", "text": text})

    for order in orders.read():
        cost = []
        for number in orders.numbers(order):
            started = orders.now()
            await send(order.to, f"{number} {started}")
            cost.append(orders.now() - started)
            if order.gap:
                await asyncio.sleep(order.gap)
        orders.answer(cost)


if __name__ == "__main__":
    asyncio.run(main())
