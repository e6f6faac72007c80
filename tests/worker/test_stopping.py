"""What becomes of the messages when a worker is asked to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.pace import Pace
from channels_classic.routing import route
from channels_classic.worker import Worker
from tests.worker.site import (
    DEADLINE,
    WORK,
    Site,
    report,
    survives,
    until,
)


def test_the_message_in_hand_is_finished(site):
    """Weakness 21: running jobs were killed."""
    began = threading.Event()

    def consumer(message):
        began.set()
        until(lambda: site.worker.termed)
        report(message)

    site = site(consumer)
    with site.working():
        site.send(number=1)
        assert began.wait(DEADLINE)
    assert site.received() == {"number": 1}
    assert site.pending(WORK) == 0


def test_messages_that_were_taken_and_not_started_are_given_back(site, monkeypatch):
    def consumer(message):
        site.worker.stop()
        report(message)

    monkeypatch.setattr(Pace, "limit", 8)
    site = site(consumer)
    for number in range(5):
        site.send(number=number)
    with site.working():
        first = site.received()
        site.worker._stop.wait(DEADLINE)
    others = [site.received(WORK) for _ in range(4)]
    assert sorted(each["number"] for each in [first, *others]) == list(range(5))


def test_messages_that_were_given_back_are_worked_on_by_the_next(redis_layer, monkeypatch):
    def consumer(message):
        site.worker.stop()
        report(message)

    monkeypatch.setattr(Pace, "limit", 8)
    site = Site(redis_layer, route(WORK, consumer))
    for number in range(3):
        site.send(number=number)
    for _ in range(3):
        site.worker = Worker(site.wrapper, signal_handlers=False)
        with site.working():
            site.worker._stop.wait(DEADLINE)
    assert sorted(site.received()["number"] for _ in range(3)) == [0, 1, 2]


def test_a_stopped_worker_takes_nothing_more(site):
    site = site(report)
    with site.working():
        assert survives(site)
    site.send(number=1)
    assert site.pending(WORK) == 1


def test_a_worker_that_was_asked_to_stop_is_termed(memory_site):
    worker = memory_site(report).worker
    assert not worker.termed
    worker.stop()
    assert worker.termed


def test_a_signal_finishes_the_message_in_hand_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)

    def consumer(message):
        os.kill(os.getpid(), signal.SIGTERM)
        report(message)

    site = Site(InMemoryChannelLayer(), route(WORK, consumer))
    site.worker.signal_handlers = True
    site.send(number=1)
    site.worker.run()
    assert site.received() == {"number": 1}
    assert signal.getsignal(signal.SIGTERM) is before


def test_servers_know_of_a_worker_while_it_runs(layer):
    def alive():
        async def ask():
            try:
                return await layer.has_worker(WORK)
            finally:
                await layer.close_async()

        return asyncio.run(ask())

    site = Site(layer, route(WORK, report))
    assert not alive()
    with site.working():
        until(alive)
        assert survives(site)
    assert not alive()


# Names of Channels 1 ------------------------------------------------------------------------------


def test_a_signal_calls_the_handler_of_a_subclass():
    heard = []

    class Telling(Worker):
        def sigterm_handler(self, signo, stack_frame):
            heard.append(signo)
            super().sigterm_handler(signo, stack_frame)

    worker = Telling(ChannelLayerWrapper(InMemoryChannelLayer(), "default", [route(WORK, report)]))
    worker.on_announced = lambda: os.kill(os.getpid(), signal.SIGTERM)
    worker.run()
    assert heard == [signal.SIGTERM]
    assert worker.termed


def test_the_handler_can_be_installed_by_hand():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    worker = Worker(None)
    try:
        worker.install_signal_handler()
        for number in before:
            worker.termed = False
            os.kill(os.getpid(), number)
            assert worker.termed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_worker_can_be_stopped_by_its_attribute(site):
    site = site(report)
    with site.working():
        site.send(number=1)
        assert site.received() == {"number": 1}
        site.worker.termed = True
    assert site.worker.termed
