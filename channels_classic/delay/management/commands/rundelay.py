"""``manage.py rundelay``: send messages later, through the database."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_classic import tracing_setup
from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.delay.worker import CHANNEL, Worker
from channels_classic.exceptions import ChannelsError
from channels_classic.log import FORMATS, setup_logger
from channels_classic.notify import say_ready

logger = logging.getLogger("channels_classic.delay")


class Command(BaseCommand):
    """Runs a delay worker until it is asked to stop."""

    help = (
        f"Takes messages off the channel {CHANNEL}, keeps them in the database and sends each on "
        "when it is due. Start as many as you need: each message is sent by one of them. SIGTERM "
        "or Ctrl-C ends it; a second one ends it at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--layer",
            default=DEFAULT_CHANNEL_LAYER,
            metavar="ALIAS",
            help="The channel layer, by its alias in CHANNEL_LAYERS (default: %(default)s).",
        )
        parser.add_argument(
            "--sleep",
            type=float,
            default=1.0,
            metavar="SECONDS",
            help="How often to look for messages that are due (default: %(default)s).",
        )

        parser.add_argument(
            "--log-format",
            choices=list(FORMATS),
            default="text",
            help="Of what it says: text, or a JSON object a line (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        setup_logger("channels_classic.delay", options["verbosity"], options["log_format"])
        layer = _layer(options["layer"])
        if not options["sleep"] > 0:
            raise CommandError(f"--sleep must be above 0, not {options['sleep']}")
        _set_up_traces()
        worker = Worker(layer, database_sleep_duration=options["sleep"])
        logger.info("Delay worker on layer %s", layer)
        say_ready()
        worker.run()


def _set_up_traces() -> None:
    try:
        tracing_setup.set_up("channels-classic rundelay")
    except ChannelsError as error:
        raise CommandError(str(error)) from error


def _layer(alias: str) -> ChannelLayerWrapper:
    """The layer ``alias``, or the ``CommandError`` that says why not."""
    try:
        layer = channel_layers[alias]
    except KeyError as error:
        raise CommandError(error.args[0]) from error
    except (ChannelsError, ImproperlyConfigured, ValueError) as error:
        raise CommandError(str(error)) from error
    if layer.local_only():
        raise CommandError(
            f"the layer {layer} cannot be shared between processes: use "
            "channels_classic.layers.redis.RedisChannelLayer, or "
            "channels_classic.layers.local.LocalChannelLayer"
        )
    return layer
