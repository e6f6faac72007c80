"""What the tests of the worker share."""

from __future__ import annotations

import queue

import pytest

from channels_classic import worker as worker_module
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import route
from tests.worker.site import (
    WORK,
    Site,
)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """An idle worker heeds ``stop()`` soon, and a full channel is given up soon."""
    monkeypatch.setattr(worker_module, "WAIT", 0.02)
    monkeypatch.setattr(worker_module, "FLUSH_DEADLINE", 0.3)
    monkeypatch.setattr(worker_module, "RETRY", 0.01)


@pytest.fixture
def site(layer):
    """``site(consumer, …)``: the consumer of the work, on each layer in turn."""

    def make(consumer, *routes, **options):
        return Site(layer, route(WORK, consumer), *routes, **options)

    return make


@pytest.fixture
def memory_site():
    """``memory_site(consumer, …)``: the same on the in-memory layer alone."""

    def make(consumer, *routes, **options):
        return Site(InMemoryChannelLayer(), route(WORK, consumer), *routes, **options)

    return make


@pytest.fixture
def heard():
    """``heard(signal)`` is a queue of what the signal is sent with from now on."""
    connected = []

    def connect(signal):
        sent = queue.Queue()

        def receiver(**kwargs):
            sent.put(kwargs)

        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))
        return sent

    yield connect
    for each, receiver in connected:
        each.disconnect(receiver)


@pytest.fixture
def quick_backoff(monkeypatch):
    monkeypatch.setattr("channels_classic.backoff.LONGEST_PAUSE", 0.1)
