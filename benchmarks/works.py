"""All works, and the sections of the report that they stand in."""

from __future__ import annotations

from benchmarks import bus_works, growth_works, order_works, task_works, web_works

WORKS = (
    *web_works.WORKS,
    *order_works.WORKS,
    *growth_works.WORKS,
    *task_works.WORKS,
    *bus_works.WORKS,
)
SECTIONS = tuple(dict.fromkeys(work.section for work in WORKS))
