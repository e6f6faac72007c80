"""Consumers that are coroutine functions, beside the others."""

from __future__ import annotations

import asyncio
import threading

import pytest

from channels_classic.exceptions import (
    ConsumeLater,
    DenyConnection,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import route
from tests.worker.site import (
    DEADLINE,
    REPORT,
    WORK,
    Odd,
    Site,
    at_once,
    meeting,
    report,
    survives,
)


def test_an_async_consumer_is_run_and_its_answer_sent(site):
    async def consumer(message):
        await asyncio.sleep(0)
        message.reply_channel.send({"echo": message["text"]})

    site = site(consumer)
    with site.working():
        site.send(text="hi", reply_channel="answers?1")
        assert site.received("answers?1") == {"echo": "hi"}
    assert site.pending(WORK) == 0


def test_an_object_with_an_async_call_is_an_async_consumer(memory_site):
    class Consumer:
        async def __call__(self, message):
            await asyncio.sleep(0)
            report(message)

    site = memory_site(Consumer())
    with site.working():
        assert survives(site)


def test_async_consumers_run_at_the_same_time(site):
    site = site(meeting(5))
    with site.working():
        for number in range(5):
            site.send(number=number)
        assert {site.received()["number"] for _ in range(5)} == set(range(5))


def test_a_sync_consumer_runs_beside_one_that_waits(site):
    waiting = meeting(2)
    site = site(waiting, route("sync", report))
    with site.working():
        site.send(number=1)
        site.send("sync", number="sync")
        assert site.received() == {"number": "sync"}
        site.send(number=2)
        assert {site.received()["number"] for _ in range(2)} == {1, 2}


def test_an_async_consumer_is_run_again_later(memory_site):
    runs = []

    async def consumer(message):
        runs.append(message.__doomed__)
        report(message, run=len(runs))
        if len(runs) < 3:
            raise ConsumeLater

    site = memory_site(consumer, message_retries=2)
    with site.working():
        site.send()
        assert site.received() == {"run": 3}
    assert runs == [False, False, True]


@pytest.mark.parametrize(
    "error", [RuntimeError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, Odd]
)
def test_an_error_of_an_async_consumer_is_logged_and_the_worker_goes_on(memory_site, error, caplog):
    async def consumer(message):
        if message["number"] == 1:
            raise error
        report(message)

    site = memory_site(consumer)
    with site.working():
        site.send(number=1)
        assert survives(site)
    assert f"Error in the consumer {__name__}." in caplog.text


def test_what_an_async_consumer_sends_waits_for_its_end(memory_site):
    goes_on = threading.Event()

    async def consumer(message):
        report(message, number="held back")
        at_once(message, number="at once")
        await asyncio.to_thread(goes_on.wait, DEADLINE)

    site = memory_site(consumer)
    with site.working():
        site.send()
        assert site.received() == {"number": "at once"}
        assert site.layer.receive([REPORT]) == (None, None)
        goes_on.set()
        assert site.received() == {"number": "held back"}


def test_an_async_consumer_finishes_when_the_worker_stops(site):
    began = threading.Event()

    async def consumer(message):
        began.set()
        await asyncio.sleep(0.2)  # it works
        report(message)

    site = site(consumer)
    with site.working():
        site.send(number=1)
        assert began.wait(DEADLINE)
    assert site.received() == {"number": 1}


def test_an_async_consumer_exception_speaks_to_the_socket():
    async def consumer(message):
        raise DenyConnection

    site = Site(InMemoryChannelLayer(), route("websocket.connect", consumer))
    with site.working():
        site.send("websocket.connect", reply_channel="answers?1")
        assert site.received("answers?1") == {"close": True}
