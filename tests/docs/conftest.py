"""What the tests of the wire format share: the other side of the bus, made of the page alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from channels_classic.layers.on_redis import wire
from channels_classic.layers.redis import RedisChannelLayer
from tests.docs import page
from tests.docs.ours import Ours


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
