"""``manage.py runworker``: take messages off the bus and run their consumers."""

from __future__ import annotations

import contextlib
import logging
import re
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import autoreload

from channels_classic import tracing_setup
from channels_classic.asgi import (
    ChannelLayerWrapper,
    channel_layers,
    is_local_only,
    load_layer_class,
)
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import ChannelsError
from channels_classic.log import FORMATS, setup_logger
from channels_classic.message import Message
from channels_classic.notify import say_ready
from channels_classic.signals import worker_process_ready
from channels_classic.staticfiles import StaticFilesConsumer
from channels_classic.utils import name_that_thing
from channels_classic.worker import WorkerGroup

logger = logging.getLogger("channels_classic.worker")


class Command(BaseCommand):
    """Runs a worker until it is asked to stop."""

    help = (
        "Takes messages off the channel layer and runs their consumers and views. Start as many "
        "as you need, on any machine. SIGTERM or Ctrl-C finishes the message in hand and ends; "
        "a second one ends at once."
    )
    #: Done once the layer is there: the reloader is to see the file of a syntax error.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        self._add_what_to_read(parser)
        parser.add_argument(
            "--threads",
            type=int,
            default=1,
            metavar="N",
            help="Messages that are worked on at the same time (default: %(default)s).",
        )
        parser.add_argument(
            "--log-format",
            choices=list(FORMATS),
            default="text",
            help="Of what the worker says: text, or a JSON object a line with the request ids "
            "(default: %(default)s).",
        )
        parser.add_argument(
            "--metrics",
            type=addresses,
            metavar="[HOST:]PORT[-LAST]",
            help="Serve metrics for Prometheus there, at /metrics. Each worker needs a port of its "
            "own: of several, such as 9100-9109, it takes the first that is free. Without a host "
            "only this machine can ask. Needs the extra metrics.",
        )
        parser.add_argument(
            "--reload", action="store_true", help="Start again when the code changes."
        )
        parser.add_argument("--skip-checks", action="store_true", help="Skip system checks.")

    def _add_what_to_read(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            metavar="ALIAS",
            help="The channel layer, by its alias in CHANNEL_LAYERS (default: %(default)s).",
        )
        parser.add_argument(
            "--only-channels",
            action="append",
            metavar="GLOB",
            help="Read only channels that match, such as 'http.*'; may be given several times.",
        )
        parser.add_argument(
            "--exclude-channels",
            action="append",
            metavar="GLOB",
            help="Do not read channels that match; may be given several times.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["threads"] < 1:
            raise CommandError(f"--threads must be at least 1, not {options['threads']}")
        check_alias(options["layer"])
        if options["reload"]:
            autoreload.run_with_reloader(self.work, **options)
        else:
            self.work(**options)

    def work(self, **options: Any) -> None:
        """Set up the worker and run it; ``CommandError`` when there is nothing to work on."""
        setup_logger("channels_classic.worker", options["verbosity"], options["log_format"])
        layer = layer_for_workers(options["layer"])
        if not options["skip_checks"]:
            self.check()
        worker = WorkerGroup(
            layer,
            callback=_log_message if options["verbosity"] > 1 else None,
            only_channels=options["only_channels"],
            exclude_channels=options["exclude_channels"],
            n_threads=options["threads"],
        )
        channels = worker.channels()
        if not channels:
            raise CommandError(
                "no channel is left to read: the routing has "
                + ", ".join(sorted(layer.router.channels))
            )
        worker_process_ready.send_robust(sender=worker)
        set_up_traces("runworker")
        logger.info("Worker on layer %s, %d thread(s)", layer, options["threads"])

        def on_announced() -> None:
            logger.info("Channels: %s", ", ".join(channels))
            say_ready()

        worker.on_announced = on_announced
        worker.ready()
        with served_metrics(options["metrics"], worker):
            worker.run()


def addresses(text: str) -> tuple[str, Sequence[int]]:
    """The host and the ports in ``[HOST:]PORT[-LAST]``; for argparse, which tells what is wrong."""
    found = re.fullmatch(r"(?:(.*):)?(\d{1,5})(?:-(\d{1,5}))?", text, re.ASCII)
    if found is not None:
        host, first, last = found[1], int(found[2]), int(found[3] or found[2])
        if first <= last <= 65535:
            return (host or "").strip("[]") or "127.0.0.1", range(first, last + 1)
    raise ArgumentTypeError(f"{text!r} is not like 9100, 9100-9109, 0.0.0.0:9100 or [::1]:9100")


@contextlib.contextmanager
def served_metrics(where: tuple[str, Sequence[int]] | None, worker: WorkerGroup) -> Iterator[None]:
    """While the block runs ``worker`` counts, and shows its figures at ``where`` if that is given.

    The library is imported only then: not everybody has it. ``CommandError`` for what is wrong.
    """
    if where is None or worker.channel_layer is None:
        yield
        return
    try:
        metrics = import_module("channels_classic.worker_metrics")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        text = "--metrics needs prometheus_client: pip install 'channels-classic[metrics]'"
        raise CommandError(text) from error
    worker.observer.meter = metrics.ConsumerMetrics()
    bus = metrics.BusCollector(worker.channel_layer.channel_layer, worker.channels())
    host, ports = where
    with contextlib.ExitStack() as stack:
        try:
            port = stack.enter_context(metrics.served(host, ports, bus))
        except OSError as error:
            last = f"-{ports[-1]}" if len(ports) > 1 else ""
            raise CommandError(
                f"cannot serve metrics on {host}:{ports[0]}{last}: {error.strerror or error}. Each "
                "worker needs a port of its own: give another one, or more, with --metrics"
            ) from error
        logger.info("Metrics: http://%s:%d/metrics", f"[{host}]" if ":" in host else host, port)
        yield


def set_up_traces(service: str) -> None:
    """As the environment says, or the ``CommandError`` that says what it lacks."""
    try:
        tracing_setup.set_up(f"channels-classic {service}")
    except ChannelsError as error:
        raise CommandError(str(error)) from error


def check_alias(alias: str) -> None:
    """``CommandError`` unless workers can share the layer ``alias``; no routing is loaded."""
    try:
        configs = channel_layers.configs
        if alias not in configs:
            known = ", ".join(configs) or "none"
            raise CommandError(f"CHANNEL_LAYERS has no layer {alias!r}; it has: {known}")
        entry = configs[alias]
        layer_class = load_layer_class(alias, entry) if isinstance(entry, Mapping) else None
    except ChannelsError as error:
        raise CommandError(str(error)) from error
    if layer_class is not None and is_local_only(layer_class):
        raise CommandError(
            f"the layer {alias!r} ({name_that_thing(layer_class)}) cannot be shared between "
            "processes: use channels_classic.layers.redis.RedisChannelLayer, "
            "channels_classic.layers.local.LocalChannelLayer on one machine, or runserver, which "
            "has its own workers"
        )


def layer_for_workers(alias: str) -> ChannelLayerWrapper:
    """The layer ``alias`` with the default routes, or the ``CommandError`` that says why not."""
    try:
        layer = channel_layers[alias]
    except (ChannelsError, ImproperlyConfigured, ValueError) as error:
        raise CommandError(str(error)) from error
    serve_static = settings.DEBUG and apps.is_installed("django.contrib.staticfiles")
    layer.router.check_default(StaticFilesConsumer() if serve_static else None)
    return layer


def _log_message(channel: str, message: Message) -> None:
    logger.debug("%s %s", channel, message.get("path", ""))
