"""Sends to groups of this project from a process of its own."""

from __future__ import annotations

import django

from benchmarks.sites import orders
from channels_classic import Group


def send(group: str, number: int, started: int) -> None:
    """One text to the group."""
    Group(group).send({"text": f"{number} {started}"})


if __name__ == "__main__":
    django.setup()
    orders.carry_out(send)
