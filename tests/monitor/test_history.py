"""The history behind the chart."""

from __future__ import annotations

import pytest

from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.monitor import history
from tests.monitor.snapshots import channel, server, snapshot


def sample(**fields):
    known = {"sent": 0, "completed": 0, "failed": 0, "waiting": 0, "sockets": 0}
    return {**known, **fields}


def test_a_sample_is_the_totals():
    found = snapshot(
        channel("a", sent=5, completed=3, failed=1, waiting=2),
        channel("b", sent=7, completed=7),
        servers=[server("one", sockets=4), server("two", sockets=5)],
    )
    assert history.sample(found) == {
        "sent": 12,
        "completed": 10,
        "failed": 1,
        "waiting": 2,
        "sockets": 9,
    }


def test_points_are_rates_of_what_grows_and_the_rest_as_it_is():
    samples = [
        (100.0, sample(sent=10, completed=10)),
        (105.0, sample(sent=60, completed=40, failed=5, waiting=20, sockets=3)),
    ]
    assert history.points(samples) == [
        {"time": 105.0, "in": 10, "out": 6, "failing": 1, "waiting": 20, "sockets": 3}
    ]


def test_a_new_day_is_no_fall():
    samples = [(100.0, sample(sent=1_000_000)), (105.0, sample(sent=10))]
    assert history.points(samples)[0]["in"] == 2


def test_what_is_too_old_is_left_out():
    samples = [(float(at), sample(sent=at)) for at in range(0, 50, 5)]
    assert [point["time"] for point in history.points(samples, since=30)] == [35, 40, 45]


@pytest.mark.parametrize("content", [{}, {"sent": 1}, {**sample(), "sent": "many"}, None, [1]])
def test_what_is_no_sample_is_passed_over(content):
    samples = [(100.0, sample(sent=10)), (102.0, content), (105.0, sample(sent=60))]
    assert [point["in"] for point in history.points(samples)] == [10]


def test_two_at_the_same_time_are_one():
    samples = [(100.0, sample()), (100.0, sample()), (105.0, sample(sent=5))]
    assert len(history.points(samples)) == 1


@pytest.mark.parametrize("samples", [[], [(100.0, sample())]])
def test_there_is_no_point_without_two_samples(samples):
    assert history.points(samples) == []


def test_the_bus_keeps_the_last_ones_for_all(layer):
    for number in range(12):
        layer.ledger.record(sample(sent=number), limit=10)
    recorded = layer.ledger.recorded(10)
    assert [content["sent"] for _, content in recorded][-2:] == [10, 11]
    assert len(recorded) == 10
    assert isinstance(layer, InMemoryChannelLayer) or recorded[0][0] <= recorded[-1][0]
