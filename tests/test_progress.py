"""Which channels get nothing done, by what is seen of them now and then."""

from __future__ import annotations

import pytest

from channels_classic.layers.traffic import Load
from channels_classic.progress import Progress


def load(waiting=0, completed=0, workers=1):
    return Load(waiting=waiting, oldest=0.0, completed=completed, workers=workers)


@pytest.fixture
def progress():
    return Progress(stalled_after=30)


def stalled(progress):
    return [(stall.channel, stall.seconds) for stall in progress.stalls()]


def test_nothing_is_known_at_first(progress):
    assert stalled(progress) == []
    assert not progress.undecided()


def test_messages_that_wait_without_one_completed_are_a_stall(progress):
    progress.note({"work": load(waiting=1)}, now=100)
    progress.note({"work": load(waiting=5)}, now=129.9)
    assert stalled(progress) == []
    progress.note({"work": load(waiting=9)}, now=130)
    assert stalled(progress) == [("work", 30)]
    progress.note({"work": load(waiting=9)}, now=131)
    assert stalled(progress) == [("work", 31)]


@pytest.mark.parametrize("now", [load(waiting=9, completed=1), load(waiting=0)])
def test_a_completed_message_or_an_empty_channel_ends_it(progress, now):
    progress.note({"work": load(waiting=9)}, now=100)
    progress.note({"work": now}, now=140)
    assert stalled(progress) == []
    progress.note({"work": now._replace(waiting=9)}, now=169)
    assert stalled(progress) == []


def test_counters_that_begin_anew_are_progress(progress):
    progress.note({"work": load(waiting=9, completed=500)}, now=100)
    progress.note({"work": load(waiting=9, completed=2)}, now=140)
    assert stalled(progress) == []


def test_the_time_in_which_nothing_waited_does_not_count(progress):
    progress.note({"work": load()}, now=0)
    progress.note({"work": load()}, now=1000)
    progress.note({"work": load(waiting=1)}, now=1001)
    progress.note({"work": load(waiting=1)}, now=1030)
    assert stalled(progress) == []
    progress.note({"work": load(waiting=1)}, now=1031)
    assert stalled(progress) == [("work", 30)]


def test_channels_stall_for_themselves(progress):
    for now in range(0, 40, 10):
        progress.note({"work": load(waiting=1), "play": load(waiting=1, completed=now)}, now=now)
    assert stalled(progress) == [("work", 30)]


def test_what_is_not_known_is_no_stall(progress):
    progress.note({"work": load(waiting=1)}, now=100)
    progress.forget()
    progress.note({"work": load(waiting=1)}, now=160)
    assert stalled(progress) == []


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (
            load(waiting=1234, workers=0),
            "work: 1,234 messages wait, none was completed in 31 s, no worker reads it",
        ),
        (
            load(waiting=1, workers=1),
            "work: 1 message waits, none was completed in 31 s, 1 worker reads it",
        ),
        (
            load(waiting=2, workers=2),
            "work: 2 messages wait, none was completed in 31 s, 2 workers read it",
        ),
    ],
)
def test_a_stall_says_what_there_is_to_know(progress, seen, text):
    progress.note({"work": seen}, now=100)
    progress.note({"work": seen}, now=131)
    assert [str(stall) for stall in progress.stalls()] == [text]


def test_it_is_decided_once_each_channel_has_moved_or_stalled(progress):
    progress.note({"work": load(), "play": load(waiting=1), "rest": load(waiting=1)}, now=0)
    assert progress.undecided()
    progress.note({"work": load(), "play": load(1, completed=1), "rest": load(waiting=1)}, now=10)
    assert progress.undecided()
    progress.note({"work": load(), "play": load(1, completed=1), "rest": load(waiting=1)}, now=30)
    assert not progress.undecided()
    assert stalled(progress) == [("rest", 30)]


def test_with_nothing_that_waits_it_is_decided_at_once(progress):
    progress.note({"work": load(), "play": load()}, now=0)
    assert not progress.undecided()
