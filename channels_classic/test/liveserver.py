"""ChannelLiveServerTestCase: an interface server and a worker as real processes, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import TransactionTestCase, modify_settings

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.test.processes import LiveProcess, LiveServerProcess, LiveWorkerProcess

__all__ = ["ChannelLiveServerTestCase", "LiveProcess", "LiveServerProcess", "LiveWorkerProcess"]


class ChannelLiveServerTestCase(TransactionTestCase):
    """A live site for each test: for browsers, and for WebSocket clients of any kind.

    It runs on the default channel layer with its TEST_CONFIG, which is flushed before each test;
    the test itself sends through it, too. Tests that run at the same time need a TEST_CONFIG each.

    ``ImproperlyConfigured`` when the processes could not share the database or the layer, and for
    more than one layer.

    The processes load the settings module themselves. They are told the names of the test
    databases and all settings that were overridden before the test began, of its class for
    instance; what cannot be pickled is refused. They do not see what a test does in its own
    process: settings and routes that it changes later, patches, locmem caches and mail outboxes.
    Their output goes to ``sys.stderr`` when the test has ended.
    """

    #: Where the server listens, on a free port.
    host = "localhost"
    #: The processes; a class of yours may run other code in them.
    ProtocolServerProcess: ClassVar[type[LiveProcess]] = LiveServerProcess
    WorkerProcess: ClassVar[type[LiveProcess]] = LiveWorkerProcess
    worker_threads = 1
    #: Whether static files are served without ``collectstatic``.
    serve_static = True

    @property
    def live_server_url(self) -> str:
        """The address of the site."""
        return f"http://{self.host}:{self._port}"

    @property
    def live_server_ws_url(self) -> str:
        """The address of the site for WebSockets."""
        return f"ws://{self.host}:{self._port}"

    def _callSetUp(self) -> None:
        """As part of ``setUp``, which subclasses override without calling ours.

        What is entered here ends whatever happens: before the database is flushed.
        """
        check_databases()
        self.enterContext(modify_settings(ALLOWED_HOSTS={"append": self.host}))
        self.enterContext(live_layer())
        server = self.ProtocolServerProcess(host=self.host)
        worker = self.WorkerProcess(threads=self.worker_threads, serve_static=self.serve_static)
        self.addCleanup(stop, server, worker)
        for process in (server, worker):  # both at the same time
            process.start()
        self._port = int(server.wait())
        worker.wait()
        super()._callSetUp()  # type: ignore[misc]


def stop(*processes: LiveProcess) -> None:
    """End them, all at the same time."""
    with ExitStack() as stack:
        for process in processes:
            stack.callback(process.stop)
            process.ask_to_stop()


def check_databases() -> None:
    """``ImproperlyConfigured`` for a database that other processes cannot see."""
    for connection in connections.all():
        is_in_memory = getattr(connection, "is_in_memory_db", None)
        if is_in_memory is not None and is_in_memory():
            raise ImproperlyConfigured(
                f"the test database {connection.alias!r} is in memory, where the processes of a "
                f"live test cannot see it: give DATABASES[{connection.alias!r}] the option "
                '"TEST": {"NAME": BASE_DIR / "test.sqlite3"}'
            )


@contextmanager
def live_layer() -> Iterator[ChannelLayerWrapper]:
    """The default layer with its TEST_CONFIG, empty, in the place of the default layer."""
    if len(channel_layers.configs) > 1:
        raise ImproperlyConfigured(
            "live tests work with one channel layer, and CHANNEL_LAYERS has "
            f"{', '.join(map(repr, channel_layers.configs))}: override it for this test case"
        )
    layer = channel_layers.make_test_backend(DEFAULT_CHANNEL_LAYER)
    if layer.local_only():
        raise ImproperlyConfigured(
            f"the channel layer {layer} is in memory, where the processes of a live test cannot "
            "see it: use channels_classic.layers.redis.RedisChannelLayer or "
            "channels_classic.layers.local.LocalChannelLayer, with a TEST_CONFIG"
        )
    layer.flush()
    before = channel_layers.set(DEFAULT_CHANNEL_LAYER, layer)
    try:
        yield layer
    finally:
        channel_layers.set(DEFAULT_CHANNEL_LAYER, before)
        layer.close()
