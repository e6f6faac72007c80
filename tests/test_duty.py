"""What a worker process reports of itself, while it works for real."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from channels_classic import duty, route
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.signals import worker_beat
from channels_classic.worker import WorkerGroup


class Site:
    """Consumers that begin and end when the test says so, and a worker for them."""

    def __init__(self):
        self.go_on = threading.Event()
        self.layer = InMemoryChannelLayer()
        routes = [route("slow", self.slow), route("async", self.slow_async), route("quick", quick)]
        self.wrapper = ChannelLayerWrapper(self.layer, "default", routes)
        self.worker = WorkerGroup(self.wrapper, signal_handlers=False, n_threads=2)
        self.thread = threading.Thread(target=self.worker.run)

    def slow(self, message):
        self.go_on.wait(60)

    async def slow_async(self, message):
        await asyncio.to_thread(self.go_on.wait, 60)

    def report(self):
        return self.layer.ledger.census().reports.get(self.worker.name, {})


def quick(message):
    pass


@pytest.fixture
def site():
    made = Site()
    made.thread.start()
    yield made
    made.go_on.set()
    made.worker.stop()
    made.thread.join(60)
    assert not made.thread.is_alive()


def until(condition):
    end = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen within 30 s"
        time.sleep(0.01)
    return found


def test_a_worker_says_who_it_is_and_what_it_reads(site):
    report = until(site.report)
    assert (report["kind"], report["pid"], report["threads"]) == ("worker", os.getpid(), 2)
    assert set(report["channels"]) >= {"slow", "async", "quick"}
    assert (report["running"], report["completed"], report["progress"]) == ([], {}, None)


@pytest.mark.parametrize("channel", ["slow", "async"])
def test_what_runs_now_is_told_with_its_request_and_how_long(site, channel):
    site.layer.send(channel, {"request_id": "a1b2-7"})
    [running] = until(lambda: site.report().get("running"))
    assert (running["channel"], running["request_id"]) == (channel, "a1b2-7")
    assert running["consumer"].startswith("tests.test_duty.Site.slow")
    until(lambda: site.report()["running"][0]["seconds"] > running["seconds"] + 0.5)
    site.go_on.set()
    until(lambda: site.report()["running"] == [])


def test_a_request_id_that_is_no_text_is_left_out(site):
    site.layer.send("slow", {"request_id": [1]})
    [running] = until(lambda: site.report().get("running"))
    assert running["request_id"] == ""


def test_what_was_completed_is_told_by_channel_and_when(site):
    for _ in range(5):
        site.layer.send("quick", {})
    until(lambda: site.report().get("completed") == {"quick": 5})
    progress = site.report()["progress"]
    assert 0 <= progress < 30
    until(lambda: site.report()["progress"] > progress)


def test_a_worker_that_ends_has_no_report(site):
    until(site.report)
    site.worker.stop()
    site.thread.join(60)
    assert site.report() == {}


def test_receivers_hear_of_each_beat_and_cannot_harm_it(site):
    heard = []

    def receiver(sender, layer, **kwargs):
        heard.append((sender, layer))
        raise RuntimeError("a mistake in a receiver")

    worker_beat.connect(receiver)
    try:
        until(lambda: len(heard) >= 2)
    finally:
        worker_beat.disconnect(receiver)
    assert heard[0] == (site.worker, site.wrapper)
    assert site.report()


def test_rounds_go_on_whatever_happens_in_them(monkeypatch, caplog):
    monkeypatch.setattr(duty, "EVERY", 0.001)
    calls = []

    def call():
        calls.append(1)
        raise LayerUnavailable() if len(calls) % 2 else RuntimeError("a mistake")

    with duty.Rounds(call):
        until(lambda: len(calls) >= 4)
    assert {record.exc_info[0] for record in caplog.records} == {RuntimeError}
