"""What a dead worker had in hand, on a real Redis."""

from __future__ import annotations

import pytest

from channels_classic import beat
from channels_classic.policy import consumer
from channels_classic.routing import route
from tests.worker.site import WORK, Site, report, until


@pytest.fixture(autouse=True)
def _short_lives(monkeypatch):
    monkeypatch.setattr(beat, "TTL", 0.3)
    monkeypatch.setattr(beat, "EVERY", 0.05)


def left_behind(layer, **options):
    """A worker has taken a message and is gone."""
    envelope = layer.prepare(WORK, {"number": 1})
    layer.deliver([envelope._replace(**options)])
    receiver = layer.receiver([WORK], worker="dead-1-abc")
    layer.beat("dead-1-abc", [WORK], ttl=0.01, recover=False)
    exchange = receiver.exchange(done=[], sends=[], limit=1, timeout=5)
    assert [each.content for each in exchange.deliveries] == [{"number": 1}]
    receiver.close()


careful = consumer(max_attempts=5)


def test_at_least_once_it_runs_again(redis_layer):
    @careful
    def each(message):
        report(message)

    site = Site(redis_layer, route(WORK, each))
    left_behind(redis_layer)
    with site.working():
        assert site.received() == {"number": 1, "__retries__": 1}
        until(lambda: site.statistic(WORK, "recovered_count") == 1)
        until(lambda: site.pending(WORK) == 0)


def test_at_most_once_it_is_lost_and_counted(redis_layer):
    runs = []
    site = Site(redis_layer, route(WORK, runs.append))
    left_behind(redis_layer)
    with site.working():
        until(lambda: site.statistic(WORK, "lost_count") == 1)
        until(lambda: site.pending(WORK) == 0)
    assert runs == []


def test_what_killed_three_workers_goes_to_the_dead_letters(redis_layer):
    runs = []

    @careful
    def each(message):
        runs.append(message)

    site = Site(redis_layer, route(WORK, each))
    left_behind(redis_layer, attempts=2, crashes=2)
    with site.working():
        until(lambda: site.statistic(WORK, "dead_count") == 1)
        until(lambda: site.pending(WORK) == 0)
    assert runs == []
    [letter] = redis_layer.dead_letters()
    assert (letter.content, letter.error) == ({"number": 1}, "killed its worker 3 times")
    assert letter.attempts == 3


def test_what_a_living_worker_has_in_hand_is_left_to_it(redis_layer):
    """However often others look for the dead while its consumer runs."""
    runs = []

    @careful
    def each(message):
        runs.append(message["number"])
        until(lambda: sum(asks) > 10)
        report(message)

    asks = []
    one, other = (Site(redis_layer, route(WORK, each)) for _ in range(2))
    asked = redis_layer.beat

    def keep(worker, channels, **options):
        asks.append(options["recover"])
        return asked(worker, channels, **options)

    redis_layer.beat = keep
    with one.working(), other.working():
        one.send(number=1)
        assert one.received() == {"number": 1}
    assert runs == [1]
