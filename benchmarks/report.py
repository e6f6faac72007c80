"""The report: medians, ratios and targets, as a table and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from os import cpu_count
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.quiet import DISTURBED
from benchmarks.results import TARGETS, Results, Target
from benchmarks.work import Metric
from benchmarks.works import SECTIONS, WORKS

SERVERS = ("Django", "channels", "channels-redis", "gunicorn", "uvicorn", "redis")
PACKAGES = (*SERVERS, "celery", "dramatiq", "rq")


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
        "Ratios are what counts: of each of ours, from left to right; the last one is judged."
    )


def verification(results: Results) -> Iterator[str]:
    """Whether the work was done, or what was not."""
    if results.verified:
        yield (
            "Verified: every answer had the right status and content, in order; "
            "every task ran exactly once."
        )
    for (metric, contestant), count in results.wrong.items():
        title = CONTESTANTS[contestant].title
        yield f"NOT VERIFIED: {title}, {metric}: {count:.0f} wrong, lost or double"
    for failure in results.failed:
        yield f"FAILED: {failure}"
    others = [others for values in results.figures.values() for _, others in values]
    disturbed = sum(each > DISTURBED for each in others)
    if disturbed:
        yield (
            f"DISTURBED: during {disturbed} of {len(others)} figures other processes took over "
            f"{DISTURBED:.0f} % of the machine (at most {max(others):.0f} %). They "
            "count only where half of the rounds were so: that is marked ~ and not to be quoted."
        )


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
        "figures are": "[value, percentage of the machine that other processes took]",
        "figures": {" | ".join(key): values for key, values in results.figures.items()},
        "targets": [{**asdict(target), **_judged(results, target)} for target in TARGETS],
        "wrong": {" | ".join(key): count for key, count in results.wrong.items()},
        "failed": results.failed,
    }


def _rows(results: Results, metric: Metric, names: tuple[str, ...]) -> Iterator[list[str]]:
    """The row of a metric, and one more for each further target."""
    medians = [_cell(results, metric.key, name) for name in names]
    if not any(medians):
        return
    title = f"{metric.title.format(**asdict(results.scale))}, {metric.unit}"
    cells = [title, *medians]
    verdicts = [_verdict(results, target) for target in TARGETS if target.metric == metric.key]
    for verdict in verdicts or [("", "", "")]:
        yield [*cells, *verdict]
        cells = [""] * len(cells)


def _cell(results: Results, metric: str, name: str) -> str:
    value = results.median(metric, name)
    if value is None:
        return ""
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"~{number}" if results.disturbed(metric, name) else number


def _verdict(results: Results, target: Target) -> tuple[str, str, str]:
    ratios = [results.ratio(target, name) for name in _ours(target)]
    shown = " / ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios)
    judged = _judged(results, target)
    verdict = "not run" if judged["ratio"] is None else _VERDICTS[judged["met"]]
    if judged["ratio"] is not None and judged["doubtful"]:
        verdict += " ~"
    return shown, _wanted(target).format(**asdict(results.scale)), verdict


_VERDICTS = {True: "met", False: "MISSED", None: ""}


def _wanted(target: Target) -> str:
    """The target as people read it."""
    words = [f"{CONTESTANTS[target.who].title}:"] if target.who else []
    if target.bound is not None:
        words += [">=" if target.at_least else "<=", f"{target.bound:g}"]
    if target.against:
        against = _TITLES[target.against] if target.own else CONTESTANTS[target.against].title
        words += ["x", against]
    return " ".join(words)


_TITLES = {metric.key: metric.title for work in WORKS for metric in work.metrics}


def _ours(target: Target) -> tuple[str, ...]:
    """Those of ours whose ratio is shown; the last one is judged."""
    if target.who:
        return (target.who,)
    keys = {work: {metric.key for metric in work.metrics} for work in WORKS}
    [work] = [work for work in WORKS if target.metric in keys[work]]
    return tuple(name for name in work.contestants if CONTESTANTS[name].ours)


def _judged(results: Results, target: Target) -> dict[str, Any]:
    judged = _ours(target)[-1]
    ratio = results.ratio(target, judged)
    met = None if ratio is None else target.met(ratio)
    return {"ratio": ratio, "met": met, "doubtful": results.doubtful(target, judged)}
