"""Channels 4 with channels_redis; the environment says which of its two layers."""

from __future__ import annotations

import os

from benchmarks.sites.base import *  # noqa: F403

INSTALLED_APPS = ["channels"]
# With redis-py's own timeout of 5 s, as long as channels_redis blocks, idle sockets are dropped.
HOST = {
    "address": os.environ.get("BENCH_REDIS", "redis://localhost:6379"),
    "socket_timeout": None,
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ.get("BENCH_LAYER", "channels_redis.core.RedisChannelLayer"),
        "CONFIG": {"hosts": [HOST], "capacity": int(os.environ.get("BENCH_CAPACITY", "100"))},
    }
}
