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
    real, refusals = site.layer.deliver, [LayerUnavailable("no bus")] * 2

    def deliver(envelopes):
        if refusals and any(envelope.name == REPORT for envelope in envelopes):
            raise refusals.pop()
        return real(envelopes)

    site.layer.deliver = deliver
    with site.working():
        site.send(number=1)
        assert site.received() == {"number": 1}
    assert refusals == []


def test_answers_that_may_have_arrived_are_not_sent_again(memory_site, caplog):
    site = memory_site(report)
    real, doubts = site.layer.deliver, [LayerUnavailable("no bus", in_doubt=True)]

    def deliver(envelopes):
        if any(envelope.name == REPORT for envelope in envelopes):
            refused = real(envelopes)
            if doubts:
                raise doubts.pop()
            return refused
        return real(envelopes)

    site.layer.deliver = deliver
    with site.working():
        site.send(number=1)
        assert site.received() == {"number": 1}
        assert survives(site)
    assert site.layer.receive([REPORT]) == (None, None)
    assert "1 send(s) may be lost" in caplog.text
