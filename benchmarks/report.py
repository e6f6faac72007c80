"""What the run found: medians, ratios, targets; as a table and as JSON."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from os import cpu_count
from statistics import median
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.works import SECTIONS, WORKS, WRONG, Figures, Metric, Scale

PACKAGES = ("Django", "channels", "channels-redis", "gunicorn", "uvicorn", "redis")

OURS = tuple(name for name, contestant in CONTESTANTS.items() if contestant.ours)
JUDGED = OURS[-1]


@dataclass(frozen=True)
class Target:
    """``metric`` of ours must be at least (or at most) ``bound`` times what it is held against:

    a contestant, or a metric of ours when ``own``; without ``against`` the bound is absolute.
    """

    metric: str
    bound: float
    against: str = ""
    at_least: bool = True
    own: bool = False

    def met(self, value: float) -> bool:
        """Whether this value reaches the target."""
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
    Target("echo many", 0.8, "echo", own=True),
    Target("connects", 1.0, "async"),
    Target("idle", 25, at_least=False),
    Target("burst", 4, "pubsub"),
    Target("burst lost", 0, at_least=False),
    Target("paced p50", 0.4, "core", at_least=False),
    Target("paced lost", 0, at_least=False),
    Target("cost many", 1.5, "cost few", at_least=False, own=True),
)


class Results:
    """The figures of all rounds."""

    def __init__(self, scale: Scale, rounds: int) -> None:
        self.scale, self.rounds = scale, rounds
        self.figures: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.wrong: dict[tuple[str, str], float] = defaultdict(float)
        self.failed: list[str] = []

    def add(self, contestant: str, figures: Figures) -> None:
        """Note what one measurement found."""
        wrong = figures.pop(WRONG, 0)
        if wrong:
            self.wrong[next(iter(figures)), contestant] += wrong
        for metric, value in figures.items():
            self.figures[metric, contestant].append(value)

    def fail(self, contestant: str, work: str, error: BaseException) -> None:
        """Note that a measurement could not be made."""
        self.failed.append(f"{CONTESTANTS[contestant].title}, {work}: {error!r}")

    def median(self, metric: str, contestant: str) -> float | None:
        """The median of the rounds, None when there is no figure."""
        values = self.figures.get((metric, contestant))
        return median(values) if values else None

    def ratio(self, target: Target, contestant: str) -> float | None:
        """What ``target`` judges, for one of ours."""
        value = self.median(target.metric, contestant)
        if value is None or not target.against:
            return value
        if target.own:
            base = self.median(target.against, contestant)
        else:
            base = self.median(target.metric, target.against)
        return value / base if base else None

    @property
    def verified(self) -> bool:
        """Whether every answer was right and nothing failed."""
        return not self.wrong and not self.failed


def table(results: Results) -> Iterator[str]:
    """The report, line by line."""
    yield about(results)
    for section in SECTIONS:
        works = [work for work in WORKS if work.section == section]
        names = tuple(dict.fromkeys(name for work in works for name in work.contestants))
        metrics = [metric for work in works for metric in work.metrics]
        rows = [row for metric in metrics for row in _rows(results, metric, names)]
        if rows:
            titles = [CONTESTANTS[name].title for name in names]
            yield ""
            yield from columns([["work", *titles, "ours : theirs", "target", ""], *rows])
    yield ""
    yield from verification(results)


def about(results: Results) -> str:
    """Where and with what this was measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Medians of {results.rounds} rounds on {cpu_count()} cores; Python "
        f"{platform.python_version()}, {packages}.\n"
        "Ratios are what counts: of ours with 1 and 2 workers, judged with 2."
    )


def verification(results: Results) -> Iterator[str]:
    """Whether the work was done, or what was not."""
    if results.verified:
        yield "Verified: every answer had the right status and content, in order."
    for (metric, contestant), count in results.wrong.items():
        yield f"NOT VERIFIED: {CONTESTANTS[contestant].title}, {metric}: {count:.0f} wrong answers"
    for failure in results.failed:
        yield f"FAILED: {failure}"


def columns(rows: list[list[str]]) -> Iterator[str]:
    """Rows as aligned text, the first one underlined."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for number, cells in enumerate(rows):
        first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join([first.lstrip().ljust(widths[0]), *others]).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def as_json(results: Results) -> dict[str, Any]:
    """Everything that was found, each round of it."""
    return {
        "about": about(results),
        "scale": asdict(results.scale),
        "rounds": results.rounds,
        "figures": {" | ".join(key): values for key, values in results.figures.items()},
        "targets": [{**asdict(target), **_judged(results, target)} for target in TARGETS],
        "wrong": {" | ".join(key): count for key, count in results.wrong.items()},
        "failed": results.failed,
    }


def _rows(results: Results, metric: Metric, names: tuple[str, ...]) -> Iterator[list[str]]:
    """The row of a metric, and one more for each further target."""
    medians = [results.median(metric.key, name) for name in names]
    if all(value is None for value in medians):
        return
    title = f"{metric.title.format(**asdict(results.scale))}, {metric.unit}"
    cells = [title, *("" if value is None else _number(value) for value in medians)]
    verdicts = [_verdict(results, target) for target in TARGETS if target.metric == metric.key]
    for verdict in verdicts or [("", "", "")]:
        yield [*cells, *verdict]
        cells = [""] * len(cells)


def _verdict(results: Results, target: Target) -> tuple[str, str, str]:
    ratios = [results.ratio(target, name) for name in OURS]
    shown = " / ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios)
    against = target.against
    if against in CONTESTANTS:
        against = CONTESTANTS[against].title
    wanted = f"{'>=' if target.at_least else '<='} {target.bound:g}"
    met = _judged(results, target)["met"]
    verdict = {True: "met", False: "MISSED", None: "not run"}[met]
    return shown, f"{wanted} x {against}" if target.against else wanted, verdict


def _judged(results: Results, target: Target) -> dict[str, Any]:
    ratio = results.ratio(target, JUDGED)
    return {"ratio": ratio, "met": None if ratio is None else target.met(ratio)}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
