"""Rates: the difference of two snapshots."""

from __future__ import annotations

import pytest

from channels_classic.monitor.rates import grown, rates
from tests.monitor.snapshots import channel, server, snapshot


def test_there_is_no_rate_without_something_to_compare_with():
    assert rates(None, snapshot(channel("a", sent=5))) is None


@pytest.mark.parametrize("at", [1000.0, 999.0])
def test_there_is_no_rate_when_no_time_has_passed(at):
    assert rates(snapshot(at=1000), snapshot(channel("a", sent=5), at=at)) is None


def test_the_rates_of_a_channel_are_by_the_second():
    before = snapshot(channel("a", sent=100, completed=90, failed=3), at=1000)
    after = snapshot(channel("a", sent=150, completed=110, failed=4), at=1005)
    found = rates(before, after)
    assert found.channels == {"a": (10, 4, 0.2)}
    assert found.total == (10, 4, 0.2)


def test_the_total_is_that_of_all_channels():
    before = snapshot(channel("a", sent=1), channel("b", sent=2), at=1000)
    after = snapshot(channel("a", sent=3), channel("b", sent=6), at=1002)
    assert rates(before, after).total.sent == 3


def test_a_counter_that_began_anew_is_never_negative():
    """It holds what a day brings; the next day it begins at 0."""
    before = snapshot(channel("a", sent=1_000_000, completed=999_999), at=1000)
    after = snapshot(channel("a", sent=20, completed=10), at=1010)
    assert rates(before, after).channels["a"] == (2, 1, 0)


def test_a_channel_that_was_not_there_began_at_nothing():
    assert rates(snapshot(at=1000), snapshot(channel("a", sent=8), at=1004)).total.sent == 2


def test_no_channels_are_no_messages():
    assert rates(snapshot(at=1000), snapshot(at=1004)).total == (0, 0, 0)


def test_a_channel_without_counters_is_quiet():
    quiet = {**channel("a"), "counts": {}}
    assert rates(snapshot(quiet, at=1), snapshot(quiet, at=2)).channels["a"] == (0, 0, 0)


def test_requests_are_those_of_servers_that_were_there_before():
    before = snapshot(at=1000, servers=[server("one", requests=100)])
    after = snapshot(at=1004, servers=[server("one", requests=140), server("two", requests=9)])
    assert rates(before, after).requests == {"one": 10}


def test_what_has_grown():
    assert (grown(3, 10), grown(10, 3), grown(3, 3)) == (7, 3, 0)
