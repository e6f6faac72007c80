"""What the tests of the wire format share: the other side of the bus, made of the page alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from channels_classic.layers.on_redis import wire
from channels_classic.layers.redis import RedisChannelLayer
from tests.docs import built, page
from tests.docs.ours import Ours


@pytest.fixture(scope="session", autouse=True)
def _pages_are_built_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    own = tmp_path_factory.getbasetemp()
    built.share(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture
def foreign(redis_server, redis_layer) -> Iterator[ModuleType]:
    """The page's code, on the bus of ``redis_layer``."""
    module = page.code()
    module.PREFIX = redis_layer.prefix
    module.SCRIPTS = Path(wire.__file__).parent / "lua"
    module.bus = module.connect(redis_server.url)
    yield module
    module.bus.close()


@pytest.fixture
def ours(redis_layer: RedisChannelLayer) -> Iterator[Ours]:
    """A server and a worker of this package, on the same bus."""
    with Ours(redis_layer) as ends:
        yield ends
