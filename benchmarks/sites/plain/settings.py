"""Plain Django."""

from __future__ import annotations

from benchmarks.sites.base import *  # noqa: F403
