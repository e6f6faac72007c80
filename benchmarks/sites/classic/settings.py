"""This project with its Redis layer; the environment says which consumers it has.

All else is at its defaults, save that as many tasks may wait as the benchmarks submit.
"""

from __future__ import annotations

import os

from benchmarks.sites.base import *  # noqa: F403

INSTALLED_APPS = ["channels_classic"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
        "CONFIG": {
            "hosts": [os.environ.get("BENCH_REDIS", "redis://localhost:6379")],
            "channel_capacity": {"tasks.*": 1_000_000, "bench": 1_000_000},
            "channel_expiry": {"tasks.*": None},
        },
        "ROUTING": os.environ.get("BENCH_ROUTING", "benchmarks.sites.classic.routing")
        + ".channel_routing",
    }
}
