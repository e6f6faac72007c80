"""What the run found: every figure of every round, the medians, and the targets to reach."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from benchmarks.contestants import CONTESTANTS
from benchmarks.quiet import DISTURBED
from benchmarks.work import WRONG, Figures, Scale


@dataclass(frozen=True)
class Measured:
    """The figures of one measurement, and the percentage of the machine that others took."""

    figures: Figures
    others: float


@dataclass(frozen=True)
class Target:
    """``metric`` of ours must be at least (or at most) ``bound`` times what it is held against:

    a contestant, or a metric of ours when ``own``; without ``against`` the bound is absolute.
    Without a bound, the ratio is only shown. ``who`` of ours is meant, if not all of them.
    """

    metric: str
    bound: float | None
    against: str = ""
    at_least: bool = True
    own: bool = False
    who: str = ""

    def figures(self, ours: str) -> list[tuple[str, str]]:
        """Metric and contestant of the figure of ``ours``, and of the one it is held against."""
        if not self.against:
            return [(self.metric, ours)]
        base = (self.against, ours) if self.own else (self.metric, self.against)
        return [(self.metric, ours), base]

    def met(self, value: float) -> bool | None:
        """Whether this value reaches the target, if there is one."""
        if self.bound is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


TARGETS = (
    Target("hello", 1.2, "gunicorn"),
    Target("hello", 5, "uvicorn"),
    Target("hello one p50", 0.8, "uvicorn", at_least=False),
    Target("post", 0.7, "gunicorn"),
    Target("mebibyte", 0.7, "gunicorn"),
    Target("echo", 1.0, "async"),
    Target("echo", 2.5, "sync"),
    Target("echo p99", 1.0, "async", at_least=False),
    Target("connects", 1.0, "async"),
    Target("idle", 25, at_least=False),
    Target("burst", 4, "pubsub"),
    Target("burst lost", 0, at_least=False),
    Target("paced p50", 0.4, "core", at_least=False),
    Target("paced lost", 0, at_least=False),
    Target("cost many", 1.5, "cost few", at_least=False, own=True),
    Target("order one", 0.85, "unordered", who="ours2"),
    Target("order window", 0.85, "unordered", who="ours2"),
    Target("order inverted", 0, at_least=False, who="ours2"),
    Target("grown 1", None, "grown 0", own=True),
    Target("grown 2", 0.8, "grown 0", own=True),
    Target("crowd cost 1", None, "crowd cost 0", own=True),
    Target("crowd cost 2", None, "crowd cost 0", own=True),
    Target("crowd cost 3", 1.5, "crowd cost 0", at_least=False, own=True),
    Target("crowd writes 3", 1, "crowd writes 0", at_least=False, own=True),
    Target("crowd lost", 0, at_least=False),
    Target("task", 3, "dramatiq", who="most"),
    Target("task", 2, "dramatiq", who="least"),
    # The targets were set beside dramatiq's defaults; it can be made faster, so both are judged.
    Target("task", 3, "dramatiq-256", who="most"),
    Target("task", 2, "dramatiq-256", who="least"),
    Target("task", None, "celery", who="most"),
    Target("task", None, "rq", who="most"),
    Target("task", None, "most", who="least"),
    Target("task submit", None, "dramatiq"),
    Target("task p50", 0.5, "celery", at_least=False),
    Target("pause", 1.1, "dramatiq"),
    Target("pause", 1.1, "dramatiq-256"),
    Target("pause", None, "celery"),
    Target("pause", None, "most", who="least"),
    Target("bus", 2, "redis-py", who="layer"),
    Target("bus", None, "redis-py", who="single"),
    Target("bus", None, "pubsub-bus", who="layer"),
)


class Results:
    """The figures of all rounds."""

    def __init__(self, scale: Scale, rounds: int) -> None:
        self.scale, self.rounds = scale, rounds
        self.figures: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        self.wrong: dict[tuple[str, str], float] = defaultdict(float)
        self.failed: list[str] = []

    def add(self, contestant: str, measured: Measured) -> None:
        """Note the figures of one measurement."""
        for metric, value in measured.figures.items():
            if metric != WRONG:
                self.figures[metric, contestant].append((value, measured.others))

    def check(self, contestant: str, measured: Measured) -> None:
        """Note what was wrong in one measurement."""
        if wrong := measured.figures.get(WRONG, 0):
            self.wrong[next(iter(measured.figures)), contestant] += wrong

    def fail(self, contestant: str, work: str, error: BaseException) -> None:
        """Note that a measurement could not be made."""
        self.failed.append(f"{CONTESTANTS[contestant].title}, {work}: {error!r}")

    def median(self, metric: str, contestant: str) -> float | None:
        """The median of the undisturbed rounds when they are most, else of all; or None."""
        values = self.figures.get((metric, contestant), [])
        if not self.disturbed(metric, contestant):
            values = [each for each in values if each[1] <= DISTURBED]
        return median(value for value, _ in values) if values else None

    def disturbed(self, metric: str, contestant: str) -> bool:
        """Whether other processes disturbed half of the rounds or more."""
        others = [others for _, others in self.figures.get((metric, contestant), [])]
        return 2 * sum(each > DISTURBED for each in others) >= len(others) > 0

    def ratio(self, target: Target, contestant: str) -> float | None:
        """What ``target`` judges, for one of ours."""
        value, *bases = [self.median(*each) for each in target.figures(contestant)]
        for base in bases:
            value = value / base if value is not None and base else None
        return value

    def doubtful(self, target: Target, contestant: str) -> bool:
        """Whether ``ratio`` rests on a disturbed figure."""
        return any(self.disturbed(*each) for each in target.figures(contestant))

    @property
    def verified(self) -> bool:
        """Whether every answer was right and nothing failed."""
        return not self.wrong and not self.failed
