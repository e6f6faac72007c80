"""The signals that tell what workers and consumers are doing."""

from __future__ import annotations

from django.db import close_old_connections
from django.dispatch import Signal

#: Before each consumer: ``sender`` (the worker's class), ``environ`` (an empty dict).
consumer_started = Signal()
#: After each consumer, also when it failed: ``sender``.
consumer_finished = Signal()
#: When a worker is about to take its first message, once per thread: ``sender`` (the worker).
worker_ready = Signal()
#: Once per ``runworker`` process, before ``worker_ready``: ``sender`` (the worker).
worker_process_ready = Signal()
#: About once a second in each worker process, whether the bus answers or not, on the thread that
#: reports what the worker does, so receivers return soon: ``sender`` (the worker), ``layer`` (its
#: layer with the routes, as in ``channel_layers``).
worker_beat = Signal()


def connect_database_receivers() -> None:
    """Database connections past their age or broken are closed around each consumer."""
    consumer_started.connect(close_old_connections)
    consumer_finished.connect(close_old_connections)
