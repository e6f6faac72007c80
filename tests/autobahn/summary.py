"""Summary: what came of the cases of the fuzzing client, by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: What the suite calls good enough; of these the first is what the RFC asks for.
PASSED, NON_STRICT, INFORMATIONAL = "OK", "NON-STRICT", "INFORMATIONAL"
FAILED = "FAILED"
_GOOD = (PASSED, NON_STRICT, INFORMATIONAL)
_ROW = "{:<6} {:>7} {:>11} {:>14} {:>7}"


@dataclass
class Summary:
    """Counts by group, and the cases that are not plainly passed."""

    groups: dict[str, Counter[str]] = field(default_factory=dict)
    non_strict: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """A table, and the cases to look at."""
        yield _ROW.format("group", "passed", "non-strict", "informational", "failed")
        total: Counter[str] = Counter()
        for group, counts in [*self.groups.items(), ("all", total)]:
            yield _ROW.format(group, *(counts[each] for each in (*_GOOD, FAILED)))
            total.update(counts)
        if self.non_strict:
            yield f"non-strict: {', '.join(self.non_strict)}"
        yield from (f"failed: {each}" for each in self.failed)


def summarize(cases: Mapping[str, Mapping[str, Any]], groups: list[str]) -> Summary:
    """The summary of the suite's ``index.json``, for one agent; a group without cases has failed.

    A case has failed unless both its behaviour and that of its close are good enough.
    """
    summary = Summary({group: Counter() for group in groups})
    for case in sorted(cases, key=_number):
        found = cases[case]
        group = case.partition(".")[0]
        worst = _worst(found["behavior"], found["behaviorClose"])
        summary.groups.setdefault(group, Counter())[worst] += 1
        if worst == FAILED:
            summary.failed.append(f"{case} ({found['behavior']}, close: {found['behaviorClose']})")
        elif worst == NON_STRICT:
            summary.non_strict.append(case)
    for group, counts in summary.groups.items():
        if not counts:
            counts[FAILED] += 1
            summary.failed.append(f"{group}.* (no case was run)")
    return summary


def _worst(behavior: str, close: str) -> str:
    if behavior not in _GOOD or close not in _GOOD:
        return FAILED
    if INFORMATIONAL in (behavior, close):
        return INFORMATIONAL
    return NON_STRICT if NON_STRICT in (behavior, close) else PASSED


def _number(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]
