"""How large the tests of the promises are, and the figures that they print."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

#: Whether the sizes are those that the promises name; else they suit every run of the tests.
FULL = os.environ.get("SOAK") == "full"


def size(*, short: T, full: T) -> T:
    """``full`` with SOAK=full in the environment, else ``short``."""
    return full if FULL else short


def figures(promise: str, *parts: str) -> None:
    """Print what was seen, as one line; ``pytest -s`` shows it."""
    print(f"\n{promise}: {', '.join(parts)}", flush=True)
