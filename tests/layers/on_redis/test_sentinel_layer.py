"""The layer under Redis Sentinel passes the suite, on one master and on two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from channels_classic.layers.redis import RedisSentinelChannelLayer
from tests.layers.on_redis.several import SeveralTestCase
from tests.redis_topologies import HOST, PATIENT_MS, SentinelSite


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[SentinelSite]:
    """Two masters whose Sentinels the tests leave as they are."""
    services = ("first", "second")
    with SentinelSite(
        tmp_path_factory.mktemp("sentinel"), services, down_after_ms=PATIENT_MS
    ) as site:
        yield site


class TestConformance(SeveralTestCase):
    """On two masters."""

    services = ("first", "second")

    @pytest.fixture(autouse=True)
    def _site(self, site) -> None:
        self.site = site

    def make(self, **options) -> RedisSentinelChannelLayer:
        return RedisSentinelChannelLayer(
            hosts=self.site.hosts,
            services=list(self.services),
            connection_kwargs={"socket_connect_timeout": 1},
            **options,
        )

    def servers(self) -> list[redis.Redis]:
        return [redis.Redis(HOST, self.site.master(service).port) for service in self.services]


class TestOneMaster(TestConformance):
    """On one, which is how most people use it."""

    services = ("first",)
    in_order = True
