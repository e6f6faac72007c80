"""Nobody waits behind a slow consumer while another thread is idle."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.pace import Pace
from channels_classic.policy import consumer
from channels_classic.routing import route
from tests.worker.site import DEADLINE, REPORT, WORK, Site, Team, report, survives, until

SLOW = "slow"


@pytest.fixture(autouse=True)
def _large_batches(monkeypatch):
    monkeypatch.setattr(Pace, "limit", 8)


class Gate:
    """A consumer that runs until the test opens it."""

    def __init__(self):
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, message):
        if message["number"] == SLOW:
            self.entered.set()
            assert self.opened.wait(DEADLINE)
        report(message)


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.opened.set()


def numbers(site, count):
    return [site.received()["number"] for _ in range(count)]


def test_what_waits_behind_a_slow_consumer_goes_to_an_idle_thread(layer, gate):
    team = Team(layer, route(WORK, gate))
    for number in (SLOW, 1, 2, 3):
        team.send(number=number)
    with team.working():
        assert sorted(numbers(team, 3)) == [1, 2, 3]
        assert gate.entered.is_set()
        gate.opened.set()
        assert numbers(team, 1) == [SLOW]
    assert layer.receive([REPORT]) == (None, None)


def test_what_was_done_before_a_slow_consumer_is_answered_meanwhile(layer, gate):
    site = Site(layer, route(WORK, gate))
    for number in (1, SLOW, 2):
        site.send(number=number)
    with site.working():
        assert numbers(site, 1) == [1]
        until(lambda: layer.receive([WORK]) == (WORK, {"number": 2}))
        gate.opened.set()
        assert numbers(site, 1) == [SLOW]
        assert survives(site)


def test_a_thread_that_was_slow_takes_what_comes_next(layer, gate):
    site = Site(layer, route(WORK, gate))
    for number in (SLOW, 1):
        site.send(number=number)
    with site.working():
        assert gate.entered.wait(DEADLINE)
        until(lambda: site.layer.receive([WORK]) == (WORK, {"number": 1}))
        gate.opened.set()
        assert numbers(site, 1) == [SLOW]
        assert survives(site)


def test_fast_messages_stay_fast_beside_a_slow_consumer(layer):
    """None waits for the thread that is slow for two seconds."""
    slow_ended = threading.Event()

    def each(message):
        if message["number"] == SLOW:
            time.sleep(2)  # it works
            slow_ended.set()
        else:
            waited.append(time.monotonic() - message["sent"])

    waited = []
    team = Team(layer, route(WORK, each))
    with team.working():
        for number in range(20):
            team.send(number=number, sent=time.monotonic())
        team.send(number=SLOW)
        count = 20
        while not slow_ended.is_set():
            team.send(number=count, sent=time.monotonic())
            count += 1
            slow_ended.wait(0.005)
        until(lambda: len(waited) == count)
    waited.sort()
    assert waited[int(len(waited) * 0.99)] < 1  # few may have met a pause of the machine


def test_what_cannot_be_given_back_yet_is_given_back_when_the_bus_is_there(memory_site, gate):
    site = memory_site(gate)
    troubles, made = [LayerUnavailable("no bus")] * 2, site.layer.receiver

    def receiver(channels, **options):
        receiver = made(channels, **options)
        give_back = receiver.give_back

        def give_back_in_trouble(deliveries):
            if troubles:
                raise troubles.pop()
            give_back(deliveries)

        receiver.give_back = give_back_in_trouble
        return receiver

    site.layer.receiver = receiver
    for number in (SLOW, 1, 2):
        site.send(number=number)
    with site.working():
        until(lambda: len(troubles) < 2)
        gate.opened.set()
        assert sorted(map(str, numbers(site, 3))) == ["1", "2", SLOW]
    assert troubles == []


# Time limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_a_consumer_that_runs_too_long_is_ended_and_its_message_tried_again(layer, is_async):
    runs = []

    def run(message):
        runs.append(message.get("__retries__", 0))
        if len(runs) == 1:
            end = time.monotonic() + DEADLINE
            while time.monotonic() < end:
                pass
        report(message, run=len(runs))

    async def run_async(message):
        runs.append(message.get("__retries__", 0))
        if len(runs) == 1:
            await asyncio.sleep(DEADLINE)
        report(message, run=len(runs))

    policy = consumer(max_attempts=3, backoff=0.001, time_limit=0.1)
    site = Site(layer, route(WORK, policy(run_async if is_async else run)))
    with site.working():
        site.send()
        assert site.received() == {"run": 2}
        until(lambda: site.statistic(WORK, "failed_count") == 1)
    assert runs == [0, 1]


def test_the_dead_letter_says_that_the_time_was_up(memory_site):
    @consumer(max_attempts=2, backoff=0, time_limit=0.05)
    async def each(message):
        await asyncio.sleep(DEADLINE)

    site = memory_site(each)
    with site.working():
        site.send()
        until(lambda: site.statistic(WORK, "dead_count") == 1)
    [letter] = site.layer.dead_letters()
    assert letter.error.endswith(
        "TimeLimitExceeded: The consumer ran for longer than its time limit."
    )


def test_a_timeout_of_the_consumers_own_is_its_own_error(memory_site, caplog):
    @consumer(max_attempts=1, time_limit=60)
    async def each(message):
        raise TimeoutError("its own")

    site = memory_site(each)
    with site.working():
        site.send()
        until(lambda: site.statistic(WORK, "failed_count") == 1)
    assert "TimeoutError('its own')" in caplog.text


def test_a_limit_that_is_kept_does_not_hit_the_next_consumers(memory_site, caplog):
    @consumer(max_attempts=1, time_limit=0.03)
    def limited(message):
        end = time.monotonic() + 0.028
        while time.monotonic() < end:
            pass

    def free(message):
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            pass
        report(message)

    site = memory_site(limited, route("free", free))
    for number in range(20):
        site.send()
        site.send("free", number=number)
    with site.working():
        assert sorted(numbers(site, 20)) == list(range(20))
    assert ".free of a message" not in caplog.text
