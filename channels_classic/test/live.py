"""What runs in the processes of a live test: ``python -m channels_classic.test.live FD``."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER, websocket_protocols
from channels_classic.server.app import InterfaceServer
from channels_classic.server.options import Listen, development_limits
from channels_classic.server.run import run_server
from channels_classic.signals import worker_process_ready
from channels_classic.staticfiles import StaticFilesConsumer
from channels_classic.worker import WorkerGroup

Ready = Callable[[str], None]


def main() -> None:
    """Carry out the order on stdin, and end when stdin closes."""
    order = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    configure(order["settings"], order["databases"])
    descriptor = int(sys.argv[1])

    def ready(text: str) -> None:
        os.write(descriptor, f"{text}\n".encode())

    import_string(order["target"])(ready=ready, **order["options"])


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGKILL)


def configure(overridden: dict[str, bytes], databases: dict[str, Any]) -> None:
    """Set Django up as it is in the test: with its settings and its databases."""
    values = {name: pickle.loads(value) for name, value in overridden.items()}
    if os.environ.get("DJANGO_SETTINGS_MODULE") and settings.SETTINGS_MODULE:  # now it is loaded
        for name, value in values.items():
            setattr(vars(settings)["_wrapped"], name, value)  # which warns of nothing
    else:
        settings.configure(**values)
    for alias, name in databases.items():
        settings.DATABASES[alias]["NAME"] = name
    django.setup(set_prefix=False)


def serve(*, host: str, ready: Ready) -> None:
    """Run the interface server on a free port of ``host``."""
    application = InterfaceServer(
        _layer().channel_layer,
        ws_protocols=websocket_protocols(),
        root_path=(settings.FORCE_SCRIPT_NAME or "").rstrip("/"),
    )
    run_server(
        application,
        Listen(host=host, port=0),
        development_limits(),
        on_ready=lambda addresses: ready(addresses[0].rpartition(":")[2]),
    )


def work(*, threads: int, serve_static: bool, ready: Ready) -> None:
    """Run a worker for all that is routed, and for the default routes."""
    layer = _layer()
    with_static = serve_static and apps.is_installed("django.contrib.staticfiles")
    layer.router.check_default(StaticFilesConsumer() if with_static else None)
    worker = WorkerGroup(layer, n_threads=threads)
    worker.on_announced = lambda: ready("working")
    worker_process_ready.send_robust(sender=worker)
    worker.ready()
    worker.run()


def _layer() -> ChannelLayerWrapper:
    """The default layer of the test, also for the consumers of this process."""
    layer = channel_layers.make_test_backend(DEFAULT_CHANNEL_LAYER)
    channel_layers.set(DEFAULT_CHANNEL_LAYER, layer)
    return layer


if __name__ == "__main__":
    main()
