"""At least once: what is tried again, and what is given up."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest

from channels_classic.exceptions import ConsumeLater
from channels_classic.layers.traffic import lane_of
from channels_classic.policy import consumer
from channels_classic.routing import route
from tests.test.classic_layer import ClassicLayer
from tests.worker.site import REPORT, WORK, Site, at_once, report, until

NO_LUCK = RuntimeError("no luck")


def failing(times, *, error=NO_LUCK, is_async=False, **options):
    """A consumer that fails so often, reports each run, and then reports that it is done."""
    runs = []

    def run(message):
        runs.append((message.get("__retries__", 0), message.__doomed__))
        message.reply_channel.send({"run": len(runs)})
        if len(runs) <= times:
            raise error
        report(message, done=len(runs))

    async def run_async(message):
        await asyncio.sleep(0)
        run(message)

    options = {"max_attempts": 5, "backoff": 0.001, **options}
    marked = consumer(**options)(run_async if is_async else run)
    marked.runs = runs
    return marked


both_kinds = pytest.mark.parametrize("is_async", [False, True])


@both_kinds
@pytest.mark.parametrize("error", [RuntimeError("no luck"), ConsumeLater()])
def test_a_message_whose_consumer_fails_is_tried_again(site, error, is_async):
    each = failing(2, error=error, is_async=is_async)
    site = site(each)
    with site.working():
        site.send(reply_channel="answers?1")
        assert site.received() == {"done": 3}
        until(lambda: site.pending(WORK) == 0)
        until(lambda: site.statistic(WORK, "retried_count") == 2)
    assert len(each.runs) == 3


@both_kinds
def test_the_sends_of_a_run_that_failed_are_discarded(site, is_async):
    site = site(failing(2, is_async=is_async))
    with site.working():
        site.send(reply_channel="answers?1")
        assert site.received() == {"done": 3}
        assert site.received("answers?1") == {"run": 3}
    assert site.layer.receive(["answers?1"]) == (None, None)


@both_kinds
def test_after_the_last_attempt_a_message_goes_to_the_dead_letters(site, is_async):
    each = failing(9, is_async=is_async, max_attempts=3)
    site = site(each)
    with site.working():
        site.send(reply_channel="answers?1", number=1)
        until(lambda: site.statistic(WORK, "dead_count") == 1)
        assert site.received("answers?1") == {"run": 3}  # as Channels 1 sends what came before
        until(lambda: site.statistic(WORK, "failed_count") == 3)
        until(lambda: site.pending(WORK) == 0)
    assert len(each.runs) == 3
    [letter] = site.layer.dead_letters()
    assert (letter.channel, letter.content["number"], letter.attempts) == (WORK, 1, 3)
    assert letter.error == "RuntimeError: no luck"
    assert letter.traceback.startswith("Traceback")
    assert "in run\n" in letter.traceback
    assert letter.worker == site.worker.name


@both_kinds
def test_consumers_know_how_often_they_ran_and_which_run_is_the_last(memory_site, is_async):
    each = failing(9, is_async=is_async, max_attempts=3)
    site = memory_site(each)
    with site.working():
        site.send(reply_channel="answers?1")
        until(lambda: site.statistic(WORK, "dead_count") == 1)
    assert each.runs == [(0, False), (1, False), (2, True)]


def test_a_message_is_tried_again_as_it_came(memory_site):
    seen = []

    @consumer(max_attempts=3, backoff=0)
    def each(message):
        seen.append({key: value for key, value in message.items() if key != "__retries__"})
        message["more"] = object()
        raise RuntimeError

    site = memory_site(each)
    with site.working():
        site.send(number=1)
        until(lambda: len(seen) == 3)
    assert seen == [{"number": 1}] * 3


def test_a_message_that_asks_to_be_run_later_takes_along_what_was_put_into_it(memory_site):
    @consumer(max_attempts=3, backoff=0)
    def each(message):
        if "step" not in message:
            message["step"] = "second"
            raise ConsumeLater
        report(message)

    site = memory_site(each)
    with site.working():
        site.send()
        assert site.received() == {"step": "second", "__retries__": 1}


def test_no_worker_waits_for_the_next_attempt(memory_site):
    """The message waits on the bus meanwhile, for an hour here."""
    site = memory_site(failing(1, backoff=3600, max_backoff=3600), route("next", report))
    with site.working():
        site.send(reply_channel="answers?1")
        site.send("next", number=1)
        assert site.received() == {"number": 1}
        until(lambda: site.statistic(WORK, "retried_count") == 1)


def test_the_delays_grow(site):
    times = []

    @consumer(max_attempts=4, backoff=0.1)
    def each(message):
        times.append(time.monotonic())
        raise RuntimeError

    site = site(each)
    with site.working():
        site.send()
        until(lambda: len(times) == 4)
    pauses = [late - early for early, late in itertools.pairwise(times)]
    for pause, shortest in zip(pauses, (0.075, 0.15, 0.3), strict=True):
        assert pause >= shortest


def test_a_plain_consumer_that_fails_is_not_run_again(site):
    runs = []

    def each(message):
        runs.append(1)
        raise RuntimeError

    site = site(each)
    with site.working():
        site.send()
        until(lambda: site.statistic(WORK, "failed_count") == 1)
        until(lambda: site.pending(WORK) == 0)
    assert len(runs) == 1
    assert list(site.layer.dead_letters()) == []


def test_what_no_route_matches_is_counted(layer):
    site = Site(layer, route(WORK, report, path="^/known$"))
    with site.working():
        site.send(path="/unknown")
        until(lambda: site.statistic(WORK, "unrouted_count") == 1)


# Layers that know only the classic verbs ----------------------------------------------------------


def test_on_a_classic_layer_a_message_is_tried_again_at_once():
    each = failing(2, backoff=3600, max_backoff=3600)
    site = Site(ClassicLayer(), route(WORK, each))
    with site.working():
        site.send(reply_channel="answers?1")
        assert site.received() == {"done": 3}
    assert [retries for retries, _ in each.runs] == [0, 1, 2]


def test_on_a_classic_layer_a_message_that_is_given_up_is_logged(caplog):
    site = Site(ClassicLayer(), route(WORK, failing(9, max_attempts=2)))
    with site.working():
        site.send(reply_channel="answers?1")
        until(lambda: "work: 1 dead (dropped: RuntimeError: no luck)" in caplog.text)


# Lanes --------------------------------------------------------------------------------------------


class Lane:
    """A connection of a server: its messages go to the workers, its receipts come back."""

    def __init__(self, layer, runner):
        self.layer = layer
        self.receipts = []
        self._runner = runner
        self._inbox = layer.inbox("reply!", on_receipt=lambda *receipt: self._heard(receipt))

    def _heard(self, receipt):
        self.receipts.append(receipt)

    def send(self, number, **content):
        lane = lane_of("reply!1", number)
        self.layer.deliver([self.layer.prepare(WORK, {"number": number, **content}, lane=lane)])

    def read(self):
        """The contents that come next."""
        return [arrival.content for arrival in self._runner.run(self._inbox.read())]

    def wait_for_receipt(self):
        until(lambda: self.receipts or self.read() is None)

    def close(self):
        self._runner.run(self._inbox.close())
        self._runner.run(self.layer.close_async())


@pytest.fixture
def lane(layer):
    with asyncio.Runner() as runner:
        made = Lane(layer, runner)
        yield made
        made.close()


@both_kinds
def test_a_lane_waits_until_its_message_is_finally_done(layer, lane, is_async):
    answered = []
    site = Site(layer, route(WORK, failing(2, is_async=is_async)))
    with site.working():
        lane.send(7, reply_channel="reply!1")
        while not lane.receipts:
            answered += [(content, list(lane.receipts)) for content in lane.read()]
        assert site.received() == {"done": 3}
    assert lane.receipts == [("1", 7, False)]
    assert [content for content, _ in answered] == [{"run": 3}]


@both_kinds
def test_a_lane_goes_on_when_its_message_is_given_up(layer, lane, is_async):
    each = failing(9, is_async=is_async, max_attempts=2)
    site = Site(layer, route(WORK, each))
    with site.working():
        lane.send(7, reply_channel="answers?1")
        lane.wait_for_receipt()
        until(lambda: site.pending(WORK) == 0)
    assert lane.receipts == [("1", 7, False)]
    assert len(each.runs) == 2


@both_kinds
def test_without_order_a_lane_goes_on_when_the_consumer_starts(layer, lane, is_async):
    goes_on = threading.Event()

    def run(message):
        at_once(message, number=message["number"])
        goes_on.wait(10)
        report(message, done=message["number"])

    async def run_async(message):
        await asyncio.to_thread(run, message)

    policy = consumer(max_attempts=1, ordering=False)
    site = Site(layer, route(WORK, policy(run_async if is_async else run)))
    with site.working():
        lane.send(7)
        assert site.received() == {"number": 7}
        lane.wait_for_receipt()
        goes_on.set()
        until(lambda: site.pending(WORK) == 0)
    assert lane.receipts == [("1", 7, False)]


def test_with_order_a_lane_waits_for_the_end_of_the_consumer(layer, lane):
    goes_on = threading.Event()

    def run(message):
        at_once(message, number=message["number"])
        goes_on.wait(10)

    site = Site(layer, route(WORK, run))
    with site.working():
        lane.send(7)
        assert site.received() == {"number": 7}
        assert lane.receipts == []
        goes_on.set()
        lane.wait_for_receipt()
    assert lane.receipts == [("1", 7, False)]


# Suspects -----------------------------------------------------------------------------------------


@both_kinds
def test_a_message_that_may_end_its_worker_runs_alone(layer, is_async, monkeypatch):
    """What was done before is off the bus by then, and what comes after is on it again."""
    monkeypatch.setattr("channels_classic.pace.Pace.limit", 8)
    seen = []

    def run(message):
        if message["number"] == 2:
            seen.append(site.received("one")["number"])
            seen.append(site.received(WORK)["number"])
        site.channel("one" if message["number"] == 1 else REPORT).send(dict(message.content))

    async def run_async(message):
        await asyncio.to_thread(run, message)

    site = Site(layer, route(WORK, consumer(run_async if is_async else run)))
    prepared = [layer.prepare(WORK, {"number": n}) for n in (1, 2, 3, 4)]
    prepared[1] = prepared[1]._replace(attempts=1, crashes=1)
    for envelope in prepared:
        layer.deliver([envelope])
    with site.working():
        found = [site.received()["number"] for _ in range(2)]
    assert seen == [1, 3]
    assert sorted(found) == [2, 4]


def test_what_may_end_a_worker_keeps_its_history(memory_site):
    site = memory_site(failing(9, max_attempts=3, backoff=3600, max_backoff=3600))
    envelope = site.layer.prepare(WORK, {"reply_channel": "answers?1"}, attempts=1)
    site.layer.deliver([envelope._replace(crashes=1)])
    with site.working():
        until(lambda: site.statistic(WORK, "failed_count") == 1)
        until(lambda: site.statistic(WORK, "retried_count") == 1)
    [again] = site.layer.store.later
    assert (again.attempts, again.crashes) == (2, 1)
