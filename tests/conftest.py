"""What all tests share: a Redis of their own, and channel layers on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer

# A machine that stalls is no reason to fail.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_configure() -> None:
    """Ctrl-C ends what the tests start, also when a shell runs the tests in the background.

    Shells have their background jobs ignore SIGINT, and a process hands that on to its children.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


class RedisServer:
    """A redis-server on a UNIX socket in a folder of its own, with no persistence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, port: int = 0) -> None:
        """Start it, on a TCP ``port`` of loopback too when given, and wait until it answers."""
        program = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
        if program is None:
            pytest.fail("redis-server is missing: apt-get install redis-server, or make test")
        options = [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--unixsocket",
            f"{self.folder}/redis.sock",
        ]
        options += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < end, "redis-server did not start within 10 s"

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url)
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            time.sleep(0.01)  # it is starting; the caller has the deadline
            return False
        finally:
            client.close()

    def stop(self) -> None:
        """End it, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis for one test alone, which may stop and start it; not yet started."""
    folder = Path(tempfile.mkdtemp(prefix="channels-redis-"))
    server = RedisServer(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis that tests share; each uses a prefix of its own."""
    folder = Path(tempfile.mkdtemp(prefix="channels-redis-"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def redis_layer(redis_server: RedisServer) -> Iterator[RedisChannelLayer]:
    """A Redis layer with a prefix of its own."""
    layer = RedisChannelLayer(hosts=[redis_server.url], prefix=f"{random_letters(8)}:")
    yield layer
    layer.close()


@pytest.fixture(params=["memory", "redis"])
def layer(
    request: pytest.FixtureRequest,
) -> InMemoryChannelLayer | RedisChannelLayer:
    """Each layer in turn."""
    if request.param == "memory":
        return InMemoryChannelLayer()
    redis_layer: RedisChannelLayer = request.getfixturevalue("redis_layer")
    return redis_layer
