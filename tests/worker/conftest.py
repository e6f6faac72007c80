"""What the tests of the worker share."""

from __future__ import annotations

import queue
from dataclasses import replace

import pytest

from channels_classic import beat, hands, policy
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.routing import route
from tests.worker.site import (
    WORK,
    Site,
)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """An idle worker heeds ``stop()`` soon, and a full channel is given up soon."""
    monkeypatch.setattr(hands, "WAIT", 0.02)
    monkeypatch.setattr(hands, "FLUSH_DEADLINE", 0.3)
    monkeypatch.setattr(hands, "RETRY", 0.01)


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch):
    """What is tried again is tried soon."""
    monkeypatch.setattr(policy, "PLAIN", replace(policy.PLAIN, backoff=0.001, max_backoff=0.01))
    monkeypatch.setattr(beat, "INTERVAL", 0.02)


@pytest.fixture
def site(layer):
    """``site(consumer, …)``: the consumer of the work, on each layer in turn."""

    def make(consumer, *routes, **options):
        return Site(layer, route(WORK, consumer), *routes, **options)

    return make


@pytest.fixture(params=["memory", "redis"])
def tight_layer(request):
    """Each layer in turn; its channel "full" takes one message."""
    options = {"channel_capacity": {"full": 1}}
    if request.param == "memory":
        yield InMemoryChannelLayer(**options)
        return
    server = request.getfixturevalue("redis_server")
    layer = RedisChannelLayer(hosts=[server.url], prefix=f"{random_letters(8)}:", **options)
    yield layer
    layer.close()


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
