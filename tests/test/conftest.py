"""What the tests of the test tools share."""

from __future__ import annotations

import pytest

from channels_classic.test.recording import fresh_layers
from channels_classic.test.routes import apply_routes
from tests.test import consumers


@pytest.fixture
def site():
    """Fresh layers with the routes of ``consumers``."""
    consumers.runs.clear()
    with fresh_layers(["default"]), apply_routes(consumers.routing):
        yield consumers
