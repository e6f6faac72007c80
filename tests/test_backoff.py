"""Growing pauses, and one log line for each outage."""

from __future__ import annotations

import itertools
import logging

import pytest

from channels_classic.backoff import FIRST_PAUSE, LONGEST_PAUSE, Backoff, growing_pauses


@pytest.fixture
def backoff(caplog):
    caplog.set_level(logging.INFO)
    return Backoff(logging.getLogger("tests"), "Nothing works")


def test_pauses_double_up_to_the_longest():
    assert list(itertools.islice(growing_pauses(1, 5), 5)) == [1, 2, 4, 5, 5]


def test_no_pause_is_longer_than_the_longest():
    assert next(growing_pauses(3, 2)) == 2


def test_who_waits_goes_on_within_five_seconds_of_the_end_of_an_outage():
    assert LONGEST_PAUSE <= 2


def test_the_first_pause_is_short(backoff):
    assert 0 < backoff.failed(OSError()) <= FIRST_PAUSE


def test_pauses_grow_up_to_the_longest(backoff):
    pauses = [backoff.failed(OSError()) for _ in range(20)]
    assert pauses[0] < pauses[3] < pauses[5]
    assert 0.75 * LONGEST_PAUSE <= pauses[-1] <= LONGEST_PAUSE


def test_two_processes_do_not_try_at_the_same_moments(backoff):
    assert len({backoff.failed(OSError()) for _ in range(20)}) == 20


def test_an_outage_is_logged_once(backoff, caplog):
    for _ in range(5):
        backoff.failed(OSError("no route to host"))
    assert caplog.messages == ["Nothing works: no route to host. Trying again until it does."]


def test_the_end_of_an_outage_is_logged(backoff, caplog):
    backoff.failed(OSError())
    backoff.worked()
    assert caplog.messages[-1] == "The channel layer answers again."


def test_what_works_is_not_logged(backoff, caplog):
    backoff.worked()
    backoff.worked()
    assert caplog.messages == []


def test_a_second_outage_begins_anew(backoff, caplog):
    for _ in range(10):
        backoff.failed(OSError())
    backoff.worked()
    assert backoff.failed(OSError()) <= FIRST_PAUSE
    assert sum("Nothing works" in message for message in caplog.messages) == 2
