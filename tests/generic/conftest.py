"""What the tests of consumer classes share."""

from __future__ import annotations

import pytest
from django.db import close_old_connections

from channels_classic.signals import (
    connect_database_receivers,
    consumer_finished,
    consumer_started,
)


@pytest.fixture(autouse=True)
def _no_database():
    """Nobody looks for database connections where there may be none."""
    for signal in (consumer_started, consumer_finished):
        signal.disconnect(close_old_connections)
    yield
    connect_database_receivers()
