"""What the tests of the handler share: the site's view, a layer, and an ear for signals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.dispatch import Signal

from channels_classic.handler import AsgiHandler
from channels_classic.layers.memory import InMemoryChannelLayer
from tests.handler import site


@pytest.fixture(autouse=True)
def _own_site(settings, db):
    """No middleware but a test's own. A request closes old database connections: hence ``db``."""
    settings.ROOT_URLCONF = "tests.handler.site"
    settings.MIDDLEWARE = []


@pytest.fixture
def set_view(monkeypatch):
    """``set_view(function)``: what the site's views do."""
    return lambda function: monkeypatch.setattr(site, "view", function)


@pytest.fixture
def serve(set_view):
    """Set the view and run one message through a fresh handler: its replies."""

    def run(function, path="/", **content):
        set_view(function)
        return list(AsgiHandler()(site.message(path=path, **content)))

    return run


@pytest.fixture
def layer():
    return InMemoryChannelLayer(capacity=10)


@pytest.fixture
def heard() -> Iterator[Any]:
    """``heard(signal)`` is the list of what the signal is sent with from now on."""
    connected: list[tuple[Signal, Any]] = []

    def connect(signal: Signal) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        def receiver(**kwargs: Any) -> None:
            sent.append(kwargs)

        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))
        return sent

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)
