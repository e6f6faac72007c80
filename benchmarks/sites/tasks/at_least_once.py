"""The same tasks, tried up to five times, also when their worker dies: at least once."""

from __future__ import annotations

from benchmarks.sites.tasks import at_most_once
from channels_classic import route
from channels_classic.policy import consumer

tried = consumer(max_attempts=5)

channel_routing = [
    route("tasks.nothing", tried(at_most_once.nothing)),
    route("tasks.pause", tried(at_most_once.pause)),
]
