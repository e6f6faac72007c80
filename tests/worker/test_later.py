"""Consumers that ask to be run again later."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import (
    ConsumeLater,
)
from channels_classic.routing import route
from tests.worker.site import (
    REPORT,
    WORK,
    at_once,
    report,
    until,
)


def later_until(tries):
    """A consumer that asks to be run later until its ``tries``-th run."""
    runs = []

    def consumer(message):
        runs.append(message.__doomed__)
        report(message, run=len(runs))
        if len(runs) < tries:
            raise ConsumeLater

    consumer.runs = runs
    return consumer


def test_a_message_is_run_again_later(site):
    consumer = later_until(3)
    site = site(consumer)
    with site.working():
        site.send()
        assert site.received() == {"run": 3}
    assert len(consumer.runs) == 3


def test_what_a_run_sent_before_it_asked_for_a_later_one_is_not_sent_twice(site):
    """Weakness 2: retries duplicated the sends of the earlier runs."""
    site = site(later_until(4))
    with site.working():
        site.send()
        assert site.received() == {"run": 4}
    assert site.layer.receive([REPORT]) == (None, None)


def test_what_a_run_sent_immediately_is_sent_each_time(memory_site):
    def consumer(message):
        at_once(message, run=message.get("__retries__", 0))
        if message.get("__retries__", 0) < 2:
            raise ConsumeLater

    site = memory_site(consumer)
    with site.working():
        site.send()
        assert [site.received()["run"] for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(("options", "runs"), [({}, 11), ({"message_retries": 2}, 3)])
def test_a_message_is_run_later_so_often_and_then_buried(memory_site, options, runs):
    consumer = later_until(100)
    site = memory_site(consumer, route("next", report), **options)
    with site.working():
        site.send(number=1)
        until(lambda: site.statistic(WORK, "dead_count") == 1)
        site.send("next", number=2)
        assert site.received() == {"number": 2}
    assert len(consumer.runs) == runs
    [letter] = site.layer.dead_letters(WORK)
    assert letter.content == {"number": 1}
    assert letter.error.startswith("channels_classic.exceptions.ConsumeLater: ")


def test_only_the_last_run_of_a_message_is_doomed(memory_site):
    consumer = later_until(100)
    site = memory_site(consumer, message_retries=2)
    with site.working():
        site.send()
        until(lambda: len(consumer.runs) == 3)
    assert consumer.runs == [False, False, True]


def test_a_message_that_is_run_later_waits_behind_the_others(memory_site):
    def consumer(message):
        if message["number"] == 0 and "__retries__" not in message:
            raise ConsumeLater
        report(message, number=message["number"])

    site = memory_site(consumer)
    for number in range(3):
        site.send(number=number)
    with site.working():
        assert [site.received()["number"] for _ in range(3)] == [1, 2, 0]


def test_a_foreign_count_of_runs_is_no_trouble(memory_site):
    consumer = later_until(2)
    site = memory_site(consumer)
    with site.working():
        site.send(__retries__="many")
        assert site.received() == {"run": 2}


def test_a_message_that_can_no_longer_be_sent_is_buried_as_it_came(memory_site, caplog):
    def consumer(message):
        message["user"] = object()
        raise ConsumeLater

    site = memory_site(consumer)
    with site.working():
        site.send(number=1)
        until(lambda: site.statistic(WORK, "dead_count") == 1)
    assert "A message on work cannot be run later" in caplog.text
    [letter] = site.layer.dead_letters()
    assert letter.content == {"number": 1}
    assert "InvalidContent" in letter.error
