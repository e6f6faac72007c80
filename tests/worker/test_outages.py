"""A worker whose channel layer goes away and comes back."""

from __future__ import annotations

import logging

import pytest

from channels_classic.exceptions import (
    LayerUnavailable,
)
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.routing import route
from tests.worker.site import (
    REPORT,
    WORK,
    Site,
    report,
    survives,
    troubled,
    until,
)


@pytest.mark.usefixtures("quick_backoff")
def test_a_worker_goes_on_when_redis_is_back(own_redis, caplog):
    own_redis.start()
    layer = RedisChannelLayer(hosts=[own_redis.url])
    site = Site(layer, route(WORK, report))
    with caplog.at_level(logging.INFO), site.working():
        assert survives(site)
        own_redis.stop()
        until(lambda: "This worker gets no messages" in caplog.text)
        own_redis.start()
        until(lambda: "The channel layer answers again" in caplog.text)
        assert survives(site)
    assert caplog.text.count("This worker gets no messages") == 1
    layer.close()


@pytest.mark.usefixtures("quick_backoff")
def test_a_worker_waits_for_redis_to_come(own_redis, caplog):
    layer = RedisChannelLayer(hosts=[own_redis.url])
    site = Site(layer, route(WORK, report))
    with caplog.at_level(logging.INFO), site.working():
        until(lambda: "This worker gets no messages" in caplog.text)
        own_redis.start()
        until(lambda: "The channel layer answers again" in caplog.text)
        assert survives(site)
    layer.close()


@pytest.mark.usefixtures("quick_backoff")
def test_a_worker_stops_though_redis_is_away(own_redis, caplog):
    layer = RedisChannelLayer(hosts=[own_redis.url])
    site = Site(layer, route(WORK, report))
    with site.working():
        until(lambda: "This worker gets no messages" in caplog.text)
    layer.close()


def test_answers_wait_for_a_layer_that_is_away(memory_site):
    site = memory_site(report)
    refusals = [LayerUnavailable("no bus")] * 2

    def trouble(sends, carry_out):
        if refusals and sends:
            raise refusals.pop()
        return carry_out()

    troubled(site.layer, trouble)
    with site.working():
        site.send(number=1)
        assert site.received() == {"number": 1}
    assert refusals == []


def test_answers_that_may_have_arrived_are_not_sent_again(memory_site, caplog):
    site = memory_site(report)
    doubts = [LayerUnavailable("no bus", in_doubt=True)]

    def trouble(sends, carry_out):
        if not (sends and doubts):
            return carry_out()
        site.layer.deliver(sends)  # they did arrive
        raise doubts.pop()

    troubled(site.layer, trouble)
    with site.working():
        site.send(number=1)
        assert site.received() == {"number": 1}
        assert survives(site)
        until(lambda: site.statistic(REPORT, "in_doubt_count") == 1)
    assert site.layer.receive([REPORT]) == (None, None)
    assert "report: 1 in doubt (no bus)" in caplog.text
