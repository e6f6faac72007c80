"""What the tests of the commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels_classic.layers.redis import RedisChannelLayer
from tests.management.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def shared(project: Project, redis_server, redis_layer: RedisChannelLayer) -> RedisChannelLayer:
    """The layer on Redis that the project and the test share."""
    project.use(redis_server.url, redis_layer.prefix)
    return redis_layer
