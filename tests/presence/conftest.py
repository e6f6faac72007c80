"""Rooms on each layer without a grace, and one whose time the test makes pass."""

from __future__ import annotations

import pytest

from channels_classic.layers.memory import InMemoryChannelLayer
from tests.presence.room import Room


@pytest.fixture
def room(layer, settings) -> Room:
    """On each layer in turn: who leaves is looked for at the next ``check``."""
    settings.CHANNELS_CLASSIC = {"PRESENCE_GRACE": 0}
    return Room(layer)


class Clock:
    """The time of a layer."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow_room(clock) -> Room:
    """With the usual grace, 5 s, by ``clock``."""
    return Room(InMemoryChannelLayer(clock=clock, expiry=None))
