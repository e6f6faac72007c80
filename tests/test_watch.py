"""The thread that looks at what runs long."""

from __future__ import annotations

import threading
import time

import pytest

from channels_classic import watch as watch_module
from channels_classic.exceptions import TimeLimitExceeded
from channels_classic.watch import TICK, TimeLimit, Watch
from tests.worker.site import DEADLINE, until


class Something:
    """Is looked at, and says when it wants to be again."""

    def __init__(self, *pauses):
        self.looks = []
        self.pauses = list(pauses)

    def look(self, now):
        self.looks.append(now)
        return self.pauses.pop(0) if self.pauses else None


@pytest.fixture
def watch(monkeypatch):
    monkeypatch.setattr(watch_module, "LINGER", 0.05)
    with Watch() as started:
        yield started


def rests(watch):
    return watch._rests


# Looking ----------------------------------------------------------------------------------------


def test_what_is_watched_is_looked_at_again_while_it_wants_that(watch):
    something = Something(*[TICK] * 5)
    watch.watched.append(something)
    watch.wake()
    until(lambda: not something.pauses)


def test_with_nothing_to_look_at_the_thread_rests(watch):
    watch.watched.append(something := Something())
    until(lambda: rests(watch))
    looks = len(something.looks)
    assert not watch._woken.wait(3 * TICK)
    assert len(something.looks) - looks <= 1  # the one on the way to its rest


def test_who_rests_is_woken(watch):
    until(lambda: rests(watch))
    watch.watched.append(something := Something())
    watch.wake()
    until(lambda: something.looks)


def test_who_rests_looks_again_when_it_is_time(watch):
    watch.watched.append(something := Something(5.0, 0.1, 0.1))
    until(lambda: rests(watch))
    began = time.monotonic()
    watch.wake()
    until(lambda: not something.pauses)
    assert time.monotonic() - began < 5


def test_a_mistake_with_one_is_logged_and_the_others_are_looked_at(watch, caplog):
    class Broken:
        def look(self, now):
            raise RuntimeError("broken look")

    watch.watched.append(Broken())
    watch.watched.append(something := Something())
    watch.wake()
    until(lambda: something.looks)
    assert "broken look" in caplog.text


def test_the_thread_ends_with_the_block():
    with Watch() as watch:
        until(lambda: rests(watch) or watch._thread.is_alive())
    assert not watch._thread.is_alive()


def test_who_wakes_it_at_the_same_moment_is_not_forgotten(watch):
    """However often it goes to rest just then."""
    something = Something()
    watch.watched.append(something)
    for _ in range(20):
        looks = len(something.looks)
        until(lambda: rests(watch))
        watch.wake()
        until(lambda looks=looks: len(something.looks) > looks)


# Time limits ------------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limit(clock):
    return TimeLimit(lambda: None, clock=clock)


def spin(condition=lambda: False):
    """Run Python code until ``condition()`` or an exception from outside."""
    end = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < end:
        pass


def from_outside(call):
    """``call`` on another thread, and what it returned."""
    found, begun = [], threading.Event()

    def run():
        begun.wait()  # what it raises in our thread would confuse the start of this one
        found.append(call())

    thread = threading.Thread(target=run)
    thread.start()
    begun.set()
    thread.join()
    return found[0]


def run_for_too_long(limit, clock):
    """A block that the limit ends."""
    with limit.of(5):
        clock.now += 5
        from_outside(lambda: limit.look(clock()))
        spin()


def test_without_a_block_there_is_nothing_to_wait_for(limit, clock):
    assert limit.look(clock()) is None


def test_in_the_block_it_says_when_time_is_up(limit, clock):
    with limit.of(5):
        clock.now += 2
        assert limit.look(clock()) == 3


def test_who_enters_the_block_wakes_the_watch(clock):
    woken = []
    with TimeLimit(lambda: woken.append(True), clock=clock).of(5):
        assert woken == [True]


def test_when_time_is_up_the_error_is_raised_in_the_block(limit, clock):
    with pytest.raises(TimeLimitExceeded, match="longer than its time limit"):
        run_for_too_long(limit, clock)


def test_it_is_raised_once(limit, clock):
    caught = []
    with limit.of(5):
        for _ in range(2):
            try:
                from_outside(lambda: limit.look(clock() + 5))
                spin(lambda: caught)
            except TimeLimitExceeded:
                caught.append(True)
    assert caught == [True]


def test_after_the_block_nothing_is_raised(limit, clock):
    with limit.of(5):
        pass
    clock.now += 9
    assert from_outside(lambda: limit.look(clock())) is None


def test_an_error_that_has_not_arrived_by_the_end_is_taken_back(limit, clock, monkeypatch):
    raised = []
    monkeypatch.setattr(watch_module, "_raise_in", lambda *arguments: raised.append(arguments))
    with limit.of(5):
        limit.look(clock() + 5)
    thread = threading.get_ident()
    assert raised == [(thread, TimeLimitExceeded), (thread, None)]


def test_the_next_block_has_a_limit_of_its_own(limit, clock):
    with pytest.raises(TimeLimitExceeded):
        run_for_too_long(limit, clock)
    with limit.of(5):
        assert limit.look(clock()) == 5


def test_the_watch_keeps_a_time_limit(watch):
    limit = TimeLimit(watch.wake)
    watch.watched.append(limit)
    until(lambda: rests(watch))
    with pytest.raises(TimeLimitExceeded), limit.of(0.1):
        spin()
