"""This project with its Redis layer, all else at its defaults."""

from __future__ import annotations

import os

from benchmarks.sites.base import *  # noqa: F403

INSTALLED_APPS = ["channels_classic"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.redis.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ.get("BENCH_REDIS", "redis://localhost:6379")]},
        "ROUTING": "benchmarks.sites.classic.routing.channel_routing",
    }
}
