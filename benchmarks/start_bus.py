"""How the two ends of each bus are started."""

from __future__ import annotations

from benchmarks.processes import Processes
from benchmarks.site import SITES, BusSite, Start


def bus(module: str, settings: str, **more: str) -> Start:
    """Redis, and two processes of ``module``: one sends, one receives."""

    def start(processes: Processes) -> BusSite:
        environment = {
            "BENCH_REDIS": processes.redis(),
            "DJANGO_SETTINGS_MODULE": f"{SITES}.{settings}.settings",
            **more,
        }
        ends = [
            processes.talker(f"{SITES}.bus.{module}", end, **environment)
            for end in ("receive", "send")
        ]
        channel, _ = (end.hear().strip() for end in ends)
        return BusSite(ends[0].pid, sender=ends[1], receiver=ends[0], channel=channel)

    return start
