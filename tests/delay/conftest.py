"""What the tests of delayed messages share."""

from __future__ import annotations

import pytest

from tests.delay.project import DelayProject


@pytest.fixture
def project(tmp_path, redis_server, redis_layer):
    """A project with the app and a database of its own, on the test's own layer."""
    made = DelayProject(tmp_path)
    made.use(redis_server.url, redis_layer.prefix)
    made.add_settings('CHANNEL_LAYERS["default"]["CONFIG"]["capacity"] = 1000')
    made.migrate()
    return made
