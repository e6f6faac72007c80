"""The signals that tell what workers and consumers are doing."""

from __future__ import annotations

import pytest
from django.db import close_old_connections
from django.dispatch import Signal

from channels_classic import signals


@pytest.mark.parametrize(
    "name", ["consumer_started", "consumer_finished", "worker_ready", "worker_process_ready"]
)
def test_there_is_a_signal(name):
    assert isinstance(getattr(signals, name), Signal)


@pytest.mark.parametrize("signal", [signals.consumer_started, signals.consumer_finished])
def test_old_database_connections_are_closed_around_consumers(signal, monkeypatch):
    monkeypatch.setattr(signal, "receivers", [])
    signal.sender_receivers_cache.clear()
    signals.connect_database_receivers()
    assert close_old_connections in signal._live_receivers(sender=None)[0]


@pytest.mark.parametrize("signal", [signals.worker_ready, signals.worker_process_ready])
def test_no_connection_is_touched_when_a_worker_is_ready(signal):
    assert close_old_connections not in signal._live_receivers(sender=None)[0]
