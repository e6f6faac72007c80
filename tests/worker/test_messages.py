"""One message through a worker."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import (
    DenyConnection,
    WebsocketCloseException,
)
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import route
from channels_classic.signals import consumer_finished, consumer_started, worker_ready
from channels_classic.worker import Worker
from tests.worker.site import (
    DEADLINE,
    REPORT,
    WORK,
    Site,
    report,
    survives,
    until,
)

# One message ------------------------------------------------------------------------------------


def test_a_consumer_gets_the_message_and_its_answer_is_sent(site):
    def consumer(message):
        message.reply_channel.send({"echo": message["text"]})

    site = site(consumer)
    with site.working():
        site.send(text="hi", reply_channel="answers?1")
        assert site.received("answers?1") == {"echo": "hi"}


def test_a_consumer_gets_what_its_route_captures(memory_site):
    def consumer(message, room):
        report(message, room=room)

    site = Site(InMemoryChannelLayer(), route(WORK, consumer, path=r"^/room/(?P<room>\w+)/$"))
    with site.working():
        site.send(path="/room/red/")
        assert site.received() == {"room": "red"}


def test_messages_of_one_channel_are_worked_on_in_their_order(site):
    site = site(report)
    for number in range(30):
        site.send(number=number)
    with site.working():
        assert [site.received()["number"] for _ in range(30)] == list(range(30))


def test_each_message_is_worked_on_once(site):
    site = site(report)
    for number in range(20):
        site.send(number=number)
    with site.working():
        assert {site.received()["number"] for _ in range(20)} == set(range(20))
        assert survives(site)
    assert site.layer.receive([REPORT]) == (None, None)


def test_what_a_worker_has_done_is_off_the_bus(site):
    site = site(report)
    site.send(number=1)
    with site.working():
        site.received()
    assert site.pending(WORK) == 0


def test_the_callback_comes_before_the_consumer(memory_site):
    order = []
    site = memory_site(
        lambda message: order.append("consumer"),
        callback=lambda channel, message: order.append((channel, message["number"])),
    )
    site.send(number=1)
    with site.working():
        until(lambda: len(order) == 2)
    assert order == [(WORK, 1), "consumer"]


def test_a_worker_knows_that_it_is_in_a_job(memory_site):
    def consumer(message):
        report(message, in_job=site.worker.in_job)

    site = memory_site(consumer)
    with site.working():
        site.send()
        assert site.received() == {"in_job": True}
    assert site.worker.in_job is False


# Signals ----------------------------------------------------------------------------------------


def test_signals_are_sent_around_each_consumer(memory_site, heard):
    started, finished = heard(consumer_started), heard(consumer_finished)

    def consumer(message):
        report(message, started=started.qsize(), finished=finished.qsize())

    site = memory_site(consumer)
    with site.working():
        site.send()
        assert site.received() == {"started": 1, "finished": 0}
        sent = finished.get(timeout=DEADLINE)
    assert sent["sender"] is Worker
    assert started.get()["environ"] == {}


def test_a_failed_consumer_is_finished_too(memory_site, heard):
    finished = heard(consumer_finished)

    def consumer(message):
        raise RuntimeError

    site = memory_site(consumer)
    with site.working():
        site.send()
        assert finished.get(timeout=DEADLINE)["sender"] is Worker


def test_an_unrouted_message_sends_no_signals(memory_site, heard):
    started = heard(consumer_started)
    site = Site(InMemoryChannelLayer(), route(WORK, report, path="^/known$"))
    with site.working():
        site.send(path="/unknown")
        site.send(path="/known")
        site.received()
    assert started.qsize() == 1


def test_a_worker_that_is_ready_says_so(memory_site, heard):
    ready = heard(worker_ready)
    worker = memory_site(report).worker
    worker.ready()
    assert ready.get_nowait()["sender"] is worker


# Sockets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (DenyConnection(), {"close": True}),
        (WebsocketCloseException(), {"close": True}),
        (WebsocketCloseException(4001), {"close": 4001}),
    ],
)
def test_an_exception_speaks_to_the_socket(error, answer):
    def consumer(message):
        raise error

    site = Site(InMemoryChannelLayer(), route("websocket.connect", consumer))
    with site.working():
        site.send("websocket.connect", reply_channel="answers?1")
        assert site.received("answers?1") == answer


def test_what_was_sent_before_goes_out_before_the_close():
    def consumer(message):
        message.reply_channel.send({"text": "bye"})
        raise WebsocketCloseException(4001)

    site = Site(InMemoryChannelLayer(), route("websocket.receive", consumer))
    with site.working():
        site.send("websocket.receive", reply_channel="answers?1")
        assert site.received("answers?1") == {"text": "bye"}
        assert site.received("answers?1") == {"close": 4001}
