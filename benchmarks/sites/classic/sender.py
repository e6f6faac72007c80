"""Sends to groups of this project from a process of its own."""

from __future__ import annotations

import time

import django

from benchmarks.sites import orders
from channels_classic import Group


def main() -> None:
    """Carry out the orders from stdin."""
    django.setup()
    for order in orders.read():
        cost = []
        for number in range(order.count):
            started = orders.now()
            Group(order.group).send({"text": f"{order.first + number} {started}"})
            cost.append(orders.now() - started)
            if order.gap:
                time.sleep(order.gap)
        orders.answer(cost)


if __name__ == "__main__":
    main()
