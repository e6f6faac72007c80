"""Fixtures for pytest: put ``pytest_plugins = ["channels_classic.pytest_plugin"]`` in conftest.py.

They work with pytest-django and without it, once Django is set up. Whoever asks for any of them has
fresh in-memory channel layers for that test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from channels_classic import test
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.layers.traffic import Content
from channels_classic.test import running, sent
from channels_classic.test.recording import fresh_layers


@pytest.fixture
def channel_layer() -> Iterator[ChannelLayerWrapper]:
    """The default channel layer: in memory and empty, as are all layers of CHANNEL_LAYERS."""
    with fresh_layers([*channel_layers.configs]):
        yield channel_layers[DEFAULT_CHANNEL_LAYER]


@pytest.fixture
def channel_client(channel_layer: ChannelLayerWrapper) -> test.Client:
    """A ``Client``."""
    return test.Client()


@pytest.fixture
def ws_client(channel_layer: ChannelLayerWrapper) -> test.WSClient:
    """A ``WSClient`` for a visitor without a session, until the test logs in or asks for one."""
    return test.WSClient(with_session=False)


@pytest.fixture
def apply_routes(channel_layer: ChannelLayerWrapper) -> Iterator[Callable[..., None]]:
    """``apply_routes(routes, aliases=["default"])``: for the rest of the test."""
    with ExitStack() as stack:

        def apply(*args: Any, **kwargs: Any) -> None:
            stack.enter_context(test.apply_routes(*args, **kwargs))

        yield apply


@pytest.fixture
def process_all(channel_layer: ChannelLayerWrapper) -> Callable[..., int]:
    """``process_all(delayed=False, limit=…)``, as ``ChannelTestCase`` has it, for all layers."""
    return partial(running.process_all, [*channel_layers.configs])


@pytest.fixture
def assert_sent(channel_layer: ChannelLayerWrapper) -> Callable[..., list[Content]]:
    """``assert_sent(channel, content=None, *, alias="default")``: see ``assertSent``."""
    return partial(sent.assert_sent, alias=DEFAULT_CHANNEL_LAYER)


@pytest.fixture
def assert_not_sent(channel_layer: ChannelLayerWrapper) -> Callable[..., None]:
    """``assert_not_sent(channel, content=None, *, alias="default")``: see ``assertNotSent``."""
    return partial(sent.assert_not_sent, alias=DEFAULT_CHANNEL_LAYER)


@pytest.fixture
def assert_group_sent(channel_layer: ChannelLayerWrapper) -> Callable[..., list[Content]]:
    """``assert_group_sent(group, content=None, *, alias="default")``: see ``assertGroupSent``."""
    return partial(sent.assert_sent, alias=DEFAULT_CHANNEL_LAYER, to_group=True)


@pytest.fixture
def assert_group_not_sent(channel_layer: ChannelLayerWrapper) -> Callable[..., None]:
    """The opposite of ``assert_group_sent``."""
    return partial(sent.assert_not_sent, alias=DEFAULT_CHANNEL_LAYER, to_group=True)
