"""The observer: what it tells of a run, and that it tells nothing when nobody wants to know."""

from __future__ import annotations

import pytest

from channels_classic.dispatch import Match, Result
from channels_classic.layers.traffic import Delivery
from channels_classic.observer import Observer
from channels_classic.outbox import Outbox
from channels_classic.policy import Outcome

DELIVERY = Delivery("work", {"photo": 1})


class Told(list):
    """A meter that keeps what it is told."""

    def began(self, channel, consumer, waited):
        self.append(("began", channel, consumer, waited))

    def ended(self, channel, consumer, outcome, seconds):
        assert 0 <= seconds < 60
        self.append(("ended", outcome))

    def again(self, channel, consumer):
        self.append(("again",))

    def buried(self, channel, consumer):
        self.append(("buried",))

    def unrouted(self, channel):
        self.append(("unrouted", channel))


class Unhashable:
    __hash__ = None

    def __call__(self, message):
        """Nothing."""


@pytest.fixture
def observer():
    found = Observer()
    found.meter = Told()
    return found


def run(observer, consumer=Told, waited=lambda delivery: 0.5):
    return observer.run(DELIVERY, Match(consumer, {}), waited)


def test_a_run_is_told_from_its_begin_to_what_comes_of_it(observer):
    with run(observer) as seen:
        seen.ended(Result(Outcome.FAILED, Outbox(), ValueError()))
        seen.concluded(again=1.0, reason=None)
    with run(observer, Unhashable()) as seen:
        seen.ended(Result(Outcome.DONE, Outbox()))
        seen.concluded(again=None, reason=None)
    name = __name__
    assert observer.meter == [
        ("began", "work", f"{name}.Told", 0.5),
        ("ended", Outcome.FAILED),
        ("again",),
        ("began", "work", f"{name}.Unhashable", 0.5),
        ("ended", Outcome.DONE),
    ]


def test_one_that_is_cut_off_has_ended_too(observer):
    with pytest.raises(KeyboardInterrupt), run(observer):
        raise KeyboardInterrupt
    assert observer.meter[-1] == ("ended", Outcome.FAILED)


def test_a_message_is_given_up_for_a_reason(observer):
    with run(observer) as seen:
        seen.ended(Result(Outcome.FAILED, Outbox(), ValueError()))
        seen.concluded(again=None, reason="ValueError")
    assert observer.meter[-1] == ("buried",)


def test_where_nobody_counts_nothing_is_asked():
    observer = Observer()
    observer.unrouted("work")
    with run(observer, waited=None) as seen:  # which cannot be called
        seen.ended(Result(Outcome.DONE, Outbox()))
        seen.concluded(again=None, reason=None)
    assert run(observer) is seen
