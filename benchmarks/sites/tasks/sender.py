"""Submits tasks, one by one, from a process of its own, through the module that it is given."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.sites import orders

if __name__ == "__main__":
    orders.carry_out(import_module(f"{__package__}.{sys.argv[1]}").submit)
