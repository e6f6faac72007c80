"""``manage.py runserver``: server, workers and static files in one process, for development."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.runserver import Command as DjangoCommand
from django.utils import autoreload
from django.utils.version import get_version

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER, websocket_protocols
from channels_classic.exceptions import ChannelsError
from channels_classic.handler import ViewConsumer
from channels_classic.log import setup_logger
from channels_classic.management.commands.runworker import set_up_traces
from channels_classic.server.app import InterfaceServer
from channels_classic.server.options import Listen, development_limits
from channels_classic.server.run import run_server
from channels_classic.staticfiles import StaticFilesConsumer
from channels_classic.worker import WorkerGroup

#: Worker threads, unless ``--nothreading`` asks for one.
THREADS = 4
#: How long they may take to finish when the server stops, in seconds.
STOPPING = 5.0
#: How often it is looked whether the workers are still starting, in seconds.
POLL = 0.05


class Command(DjangoCommand):
    """Django's command, served through the channel layer."""

    help = (
        "Starts a development server: interface server, workers, static files and autoreload in "
        "one process. It falls back to Django's own server, without WebSockets, when no channel "
        "layer is configured."
    )
    protocol = "http"
    # Set by Django's command from its arguments.
    addr: str
    port: str

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--noworker",
            action="store_false",
            dest="run_worker",
            help="No worker threads: run 'manage.py runworker' beside this.",
        )
        parser.add_argument(
            "--noasgi",
            action="store_false",
            dest="use_asgi",
            help="Django's own server, without the channel layer.",
        )
        parser.add_argument(
            "--http-timeout",
            "--http_timeout",
            type=int,
            default=60,
            metavar="SECONDS",
            help="Time for an answer to begin (default: %(default)s).",
        )
        parser.add_argument(
            "--websocket-handshake-timeout",
            "--websocket_handshake_timeout",
            type=int,
            default=5,
            metavar="SECONDS",
            help="Time for a consumer to accept a WebSocket (default: %(default)s).",
        )
        if apps.is_installed("django.contrib.staticfiles"):
            self._add_static_arguments(parser)

    def _add_static_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--nostatic",
            action="store_false",
            dest="use_static_handler",
            help="Do not serve static files.",
        )
        parser.add_argument(
            "--insecure",
            action="store_true",
            dest="insecure_serving",
            help="Serve static files even without DEBUG.",
        )

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """Django's WSGI application, for the fallback, with static files as there."""
        handler = super().get_handler(*args, **options)
        return StaticFilesHandler(handler) if self._serves_static(options) else handler

    def inner_run(self, *args: Any, **options: Any) -> None:
        layer = self._layer() if options["use_asgi"] else None
        if layer is None:
            self.stdout.write(
                "No channel layer (CHANNEL_LAYERS has no 'default', or --noasgi): "
                "HTTP only, no WebSockets."
            )
            super().inner_run(*args, **options)
            return
        autoreload.raise_last_exception()
        setup_logger("channels_classic", options["verbosity"])
        set_up_traces("runserver")
        layer.router.check_default(self._http_consumer(options))
        if not options["skip_checks"]:
            self.stdout.write("Performing system checks...\n\n")
            self.check(display_num_errors=True)
        self.check_migrations()
        self._serve(layer, options)

    def _layer(self) -> ChannelLayerWrapper | None:
        """The default layer, if there is one, or ``CommandError``.

        A syntax error in the routing is left alone: the reloader watches the file it names.
        """
        try:
            if DEFAULT_CHANNEL_LAYER not in channel_layers:
                return None
            return channel_layers[DEFAULT_CHANNEL_LAYER]
        except (ChannelsError, ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from error

    def _serve(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> None:
        workers = self._start_workers(layer, options) if options["run_worker"] else None
        try:
            run_server(
                self._application(layer, options),
                Listen(host=self.addr, port=int(self.port)),
                development_limits(),
                signal_handlers=not options["use_reloader"],
                on_ready=lambda addresses: self._banner(addresses, layer, workers),
            )
            if workers is not None:  # what is in hand is finished, as in production
                workers.stop()
                self._working.join(STOPPING)
        except ChannelsError as error:
            self.stderr.write(f"Error: {error}")
            sys.stderr.flush()
            os._exit(1)  # from whatever thread the reloader runs this in
        except KeyboardInterrupt:
            if message := options.get("shutdown_message"):
                self.stdout.write(message)
            sys.exit(0)

    def _application(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> InterfaceServer:
        return InterfaceServer(
            layer.channel_layer,
            http_timeout=options["http_timeout"],
            websocket_connect_timeout=options["websocket_handshake_timeout"],
            ws_protocols=websocket_protocols(),
            root_path=(settings.FORCE_SCRIPT_NAME or "").rstrip("/"),
            action_logger=self.log_action,
        )

    def _start_workers(self, layer: ChannelLayerWrapper, options: dict[str, Any]) -> WorkerGroup:
        count = THREADS if options["use_threading"] else 1
        group = WorkerGroup(layer, signal_handlers=False, n_threads=count)
        announced = threading.Event()
        group.on_announced = announced.set
        group.ready()
        self._working = threading.Thread(target=group.run, name="workers", daemon=True)
        self._working.start()
        while self._working.is_alive() and not announced.wait(POLL):
            pass  # else the first requests would be told that nobody works
        return group

    def _http_consumer(self, options: dict[str, Any]) -> ViewConsumer:
        return StaticFilesConsumer() if self._serves_static(options) else ViewConsumer()

    def _serves_static(self, options: dict[str, Any]) -> bool:
        return bool(
            apps.is_installed("django.contrib.staticfiles")
            and options.get("use_static_handler", True)
            and (settings.DEBUG or options.get("insecure_serving"))
        )

    def _banner(
        self, addresses: list[str], layer: ChannelLayerWrapper, group: WorkerGroup | None
    ) -> None:
        quit_command = "CTRL-BREAK" if sys.platform == "win32" else "CONTROL-C"
        threads = 1 + len(group.workers) if group else 0
        workers = f"{threads} worker thread(s)" if threads else "no workers: start runworker"
        self.stdout.write(
            f"{time.strftime('%B %d, %Y - %X')}\n"
            f"Django version {get_version()}, using settings {settings.SETTINGS_MODULE!r}\n"
            f"Channels development server at {addresses[0]}/\n"
            f"Channel layer {layer}, {workers}\n"
            f"Channels: {', '.join(sorted(layer.router.channels))}\n"
            f"Quit the server with {quit_command}."
        )

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """One coloured line on stderr for each request and each step of a WebSocket."""
        now = time.strftime("%Y/%m/%d %H:%M:%S")
        if protocol == "http":
            text = "HTTP {method} {path} {shown} [{time_taken:.2f}, {client}]".format(
                **details, shown=details["status"] or "-"
            )
            style = self._style_of(details["status"])
        else:
            verb = _VERBS[action]
            text = f"WebSocket {verb} {details['path']} [{details['client']}]"
            style = self.style.HTTP_INFO if action != "rejected" else self.style.HTTP_BAD_REQUEST
        sys.stderr.write(f"[{now}] {style(text)}\n")

    def _style_of(self, status: int) -> Any:
        style = self.style
        if status >= 500:
            return style.HTTP_SERVER_ERROR
        if status == 404:
            return style.HTTP_NOT_FOUND
        if status >= 400:
            return style.HTTP_BAD_REQUEST
        if status == 304:
            return style.HTTP_NOT_MODIFIED
        return style.HTTP_REDIRECT if status >= 300 else style.HTTP_SUCCESS


_VERBS = {
    "connecting": "HANDSHAKING",
    "connected": "CONNECT",
    "rejected": "REJECT",
    "disconnected": "DISCONNECT",
}
