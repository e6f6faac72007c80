"""What a work is, what it yields, and how much of it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants import Contestant

Figures = dict[str, float]

#: What the run notes under this key is not a figure: how many answers were not right.
WRONG = "wrong"


@dataclass(frozen=True)
class Scale:
    """How long and how much."""

    seconds: float = 3
    connections: int = 64
    sockets: int = 100
    more_sockets: int = 1000
    many_sockets: int = 5000
    idle_sockets: int = 1000
    window: int = 8
    members: int = 1000
    few_members: int = 10
    burst: int = 50
    paced: int = 12
    gap: float = 0.25
    crowds: tuple[int, ...] = (10, 100, 1000, 10_000)
    crowd_sends: int = 10
    single_tasks: int = 100
    tasks: int = 100_000
    submitting: float = 2
    pauses: int = 6000


QUICK = Scale(
    seconds=1,
    more_sockets=300,
    many_sockets=1000,
    idle_sockets=300,
    members=300,
    burst=20,
    paced=4,
    crowds=(10, 30, 100, 300),
    crowd_sends=4,
    single_tasks=20,
    submitting=0.3,
    pauses=500,
)


@dataclass(frozen=True)
class Metric:
    """One row of the table."""

    key: str
    title: str
    unit: str


@dataclass(frozen=True)
class Work:
    """One thing to do with each of its contestants, on a site of the kind that ``run`` asks for.

    ``fresh`` asks for processes just started, and for no others beside them; ``threaded`` for
    workers with eight threads each.
    """

    section: str
    contestants: tuple[str, ...]
    metrics: tuple[Metric, ...]
    run: Callable[[Contestant, Any, Scale], Figures]
    fresh: bool = False
    threaded: bool = False
