"""How many messages a worker takes at once."""

from __future__ import annotations

import pytest

from channels_classic.pace import BATCH_TIME, LARGEST_BATCH, Pace


def after(*seconds):
    pace = Pace()
    for each in seconds:
        pace.took(each)
    return pace.limit


def test_a_new_worker_takes_one():
    assert after() == 1


def test_a_worker_with_fast_consumers_takes_many():
    assert after(*[0.00001] * 100) == LARGEST_BATCH


@pytest.mark.parametrize("slow", [0.02, 1, 3600])
def test_a_worker_with_slow_consumers_takes_one(slow):
    assert after(*[slow] * 10) == 1


def test_one_slow_consumer_is_enough_to_take_fewer():
    assert after(*[0.00001] * 100, 1) == 1


def test_after_a_slow_consumer_it_takes_many_fast_ones_to_take_many_again():
    assert after(*[0.00001] * 100, 1, *[0.00001] * 10) == 1
    assert after(*[0.00001] * 100, 1, *[0.00001] * 200) == LARGEST_BATCH


def test_a_batch_takes_no_longer_than_it_should():
    seconds = BATCH_TIME / 4
    assert after(*[seconds] * 200) * seconds <= BATCH_TIME


@pytest.mark.parametrize("seconds", [0, 1e-9])
def test_a_consumer_that_takes_no_time_is_no_trouble(seconds):
    assert after(*[seconds] * 20_000) == LARGEST_BATCH
