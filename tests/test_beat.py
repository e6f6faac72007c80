"""The beat of a worker process."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from channels_classic import beat as beat_module
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.beat import INTERVAL, TTL, Beat
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.memory import InMemoryChannelLayer


class Recording(InMemoryChannelLayer):
    """Keeps what is announced, and fails first so many times."""

    def __init__(self, failures=0):
        super().__init__()
        self.failures = failures
        self.announced = []
        self.withdrawn = []
        self.changed = threading.Condition()

    def announce(self, worker, channels, *, ttl):
        with self.changed:
            self.announced.append((worker, list(channels), ttl))
            self.changed.notify_all()
            if len(self.announced) <= self.failures:
                raise LayerUnavailable
        super().announce(worker, channels, ttl=ttl)

    def withdraw(self, worker, channels):
        self.withdrawn.append((worker, list(channels)))
        if self.failures:
            raise LayerUnavailable
        super().withdraw(worker, channels)

    def wait_for_beats(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.announced) >= count, 10)

    def alive(self, channel="work"):
        return asyncio.run(self.has_worker(channel))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(beat_module, "INTERVAL", 0.005)


def beating(layer, channels=("work",)):
    return Beat(ChannelLayerWrapper(layer, "default", []), list(channels))


def test_a_worker_is_announced_with_its_channels():
    layer = Recording()
    with beating(layer, ["a", "b"]):
        layer.wait_for_beats(1)
    [(_, channels, ttl), *_] = layer.announced
    assert (channels, ttl) == (["a", "b"], TTL)


def test_a_worker_is_announced_again_and_again_by_one_name():
    layer = Recording()
    with beating(layer):
        layer.wait_for_beats(3)
    assert len({worker for worker, _, _ in layer.announced}) == 1


def test_no_two_workers_have_the_same_name():
    layer = Recording()
    for _ in range(2):
        with beating(layer):
            layer.wait_for_beats(1)
    assert len({worker for worker, _ in layer.withdrawn}) == 2


def test_servers_see_the_worker_while_the_block_runs():
    layer = Recording()
    with beating(layer):
        layer.wait_for_beats(1)
        end = time.monotonic() + 10
        while not layer.alive():
            assert time.monotonic() < end
    assert not layer.alive()


def test_a_worker_that_ends_is_withdrawn_at_once():
    layer = Recording()
    with beating(layer):
        layer.wait_for_beats(1)
    [(worker, channels)] = layer.withdrawn
    assert (worker, channels) == (layer.announced[0][0], ["work"])


def test_a_worker_that_ends_by_an_error_is_withdrawn_too():
    layer = Recording()
    with pytest.raises(RuntimeError), beating(layer):
        raise RuntimeError
    assert len(layer.withdrawn) == 1


def test_a_layer_that_is_away_is_tried_again(caplog):
    layer = Recording(failures=2)
    with beating(layer):
        layer.wait_for_beats(4)
        end = time.monotonic() + 10
        while not layer.alive():
            assert time.monotonic() < end
    assert caplog.text == ""  # the loop of the worker says so


def test_a_slow_consumer_does_not_stop_the_beat():
    layer = Recording()
    with beating(layer):
        count = len(layer.announced)
        layer.wait_for_beats(count + 3)  # while this thread is busy


def test_a_beat_that_is_missed_does_not_end_the_worker():
    assert TTL >= 3 * INTERVAL
