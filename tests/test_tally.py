"""Counts that wait until the bus answers."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.tally import Tally


class Away(InMemoryChannelLayer):
    """Does not take more than so many counts."""

    takes = 0

    def count(self, channel, counter, number=1):
        if not self.takes:
            raise LayerUnavailable
        self.takes -= 1
        super().count(channel, counter, number)


@pytest.fixture
def layer():
    return Away()


@pytest.fixture
def tally(layer):
    return Tally(layer)


def failed(layer, channel):
    return layer.channel_statistics(channel)["failed_count"]


def test_counts_reach_the_layer_when_they_are_flushed(tally, layer):
    layer.takes = 9
    tally.add("work", Counter.FAILED)
    tally.add("work", Counter.FAILED, 2)
    assert failed(layer, "work") == 0
    tally.flush()
    assert failed(layer, "work") == 3


def test_what_was_flushed_is_not_counted_again(tally, layer):
    layer.takes = 9
    tally.add("work", Counter.FAILED)
    tally.flush()
    tally.flush()
    assert failed(layer, "work") == 1


def test_counts_wait_for_a_layer_that_is_away(tally, layer):
    for channel in ("a", "b"):
        tally.add(channel, Counter.FAILED)
    layer.takes = 1
    tally.flush()
    tally.add("b", Counter.FAILED)
    layer.takes = 9
    tally.flush()
    assert (failed(layer, "a"), failed(layer, "b")) == (1, 2)


def test_what_was_completed_is_reported_once_a_second(layer):
    now = [0.0]
    tally = Tally(layer, clock=lambda: now[0])
    layer.takes = 9

    def completed():
        return layer.channel_statistics("work")["completed_count"]

    for _ in range(3):
        tally.complete("work")
    tally.flush()
    assert completed() == 0
    now[0] = 1.0
    tally.flush()
    assert (completed(), layer.takes) == (3, 8)
    tally.complete("work")
    tally.flush()
    assert completed() == 3
    tally.flush(everything=True)
    assert completed() == 4


def test_what_was_completed_waits_for_a_layer_that_is_away(tally, layer):
    tally.complete("work")
    tally.flush(everything=True)
    layer.takes = 1
    tally.flush()
    assert layer.channel_statistics("work")["completed_count"] == 1
