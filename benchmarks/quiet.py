"""Whether the machine was ours alone: what other processes took of it during a measurement."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path

#: Above this share of the machine, in percent, others have disturbed a measurement.
DISTURBED = 10.0
_STAT = Path("/proc/stat")
_PROC = Path("/proc")


class Watch:
    """Counts from its making on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy, self._ours = _busy(), _ours()

    def others(self) -> float:
        """What processes that we have not started took so far, in percent of all processors."""
        available = (time.monotonic() - self._began) * (os.cpu_count() or 1) * _TICKS
        foreign = (_busy() - self._busy) - (_ours() - self._ours)
        return max(0.0, 100 * foreign / available)


def wait_for_quiet(patience: float) -> None:
    """Wait until others leave the machine alone, but no longer than ``patience`` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        watch = Watch()
        time.sleep(0.5)
        if watch.others() < DISTURBED / 2:
            return


_TICKS = os.sysconf("SC_CLK_TCK")


def _busy() -> int:
    """Ticks that all processors have spent on processes, or a hypervisor has kept from us.

    Interrupts are left out: on a loopback load they are the load's own.
    """
    user, nice, system, _, _, _, _, steal = map(int, _STAT.read_text().split()[1:9])
    return user + nice + system + steal


def _ours() -> int:
    """Ticks of this process and all its descendants, those that have ended among them."""
    ticks: dict[int, int] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (fields := _fields(folder)):
            pid = int(folder.name)
            children[int(fields[1])].append(pid)
            ticks[pid] = sum(map(int, fields[11:15]))
    total, found = 0, [os.getpid()]
    while found:
        pid = found.pop()
        total += ticks.get(pid, 0)
        found += children[pid]
    return total


def _fields(folder: Path) -> list[str]:
    """The fields of a process's ``stat`` from its state on; none when it has just ended."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
