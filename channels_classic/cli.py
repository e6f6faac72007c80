"""The ``channels-classic`` command: parses options, then calls the functions that run."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import click
from click.core import ParameterSource

from channels_classic import __version__
from channels_classic.asgi import is_local_only
from channels_classic.cli_dead import dead
from channels_classic.cli_migrate import migrate
from channels_classic.cli_target import layer_of, load
from channels_classic.exceptions import ChannelsError
from channels_classic.log import setup_logger
from channels_classic.server.access import AccessLog
from channels_classic.server.app import InterfaceServer
from channels_classic.server.run import Listen, run_server

logger = logging.getLogger("channels_classic.server")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="channels-classic")
def main() -> None:
    """A message bus for Django: HTTP and WebSockets become messages, workers answer them.

    \b
    A site runs as three kinds of process:
      channels-classic server project.asgi:channel_layer   takes the connections
      python manage.py runworker                           runs the consumers and views
      redis-server                                         carries the messages
    For development, "python manage.py runserver" is all of it in one.
    """


@main.command(context_settings={"show_default": True})
@click.argument("channel_layer", metavar="MODULE:ATTRIBUTE")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="TCP port.  [default: 8000]")
@click.option("-b", "--bind", "host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("-u", "--unix-socket", type=click.Path(), help="Listen on a UNIX socket.")
@click.option("--fd", type=click.IntRange(0), help="Listen on an inherited descriptor.")
@click.option("--ssl-certfile", type=click.Path(exists=True), help="Certificate chain, for TLS.")
@click.option("--ssl-keyfile", type=click.Path(exists=True), help="Key of the certificate.")
@click.option(
    "-t",
    "--http-timeout",
    type=click.FloatRange(0, min_open=True),
    default=120,
    help="Seconds until an answer begins, and between two parts of it.",
)
@click.option(
    "--websocket-timeout",
    type=float,
    help="Seconds that a WebSocket lives; -1 for no limit.  [default: no limit]",
)
@click.option(
    "--websocket-connect-timeout",
    type=click.FloatRange(0, min_open=True),
    default=5,
    help="Seconds in which a consumer must accept a WebSocket.",
)
@click.option(
    "--ping-interval", type=click.FloatRange(0), default=20, help="Seconds between pings; 0: none."
)
@click.option(
    "--ping-timeout",
    type=click.FloatRange(0, min_open=True),
    default=30,
    help="Seconds in which a ping must be answered.",
)
@click.option(
    "--ws-protocol",
    "ws_protocols",
    multiple=True,
    metavar="NAME",
    help="A subprotocol to accept; may be given several times.",
)
@click.option(
    "--ordering/--no-ordering",
    default=True,
    help="Run the messages of one WebSocket in order and one at a time, or in parallel.",
)
@click.option("--root-path", default="", help="Where the site is mounted (SCRIPT_NAME).")
@click.option(
    "--proxy-headers",
    "trusted_proxies",
    metavar="PEERS",
    default="",
    help="Believe X-Forwarded-For and -Proto from these peers: addresses or networks, by commas.",
)
@click.option(
    "--access-log", metavar="FILE", help="Append the access log to FILE; - is standard output."
)
@click.option(
    "-v",
    "--verbosity",
    type=click.IntRange(0, 2),
    default=1,
    help="0: warnings; 1: information, and the access log; 2: debugging.",
)
def server(channel_layer: str, **options: Any) -> None:
    """Run the interface server for the channel layer at MODULE:ATTRIBUTE.

    MODULE:ATTRIBUTE is a channel layer, or an InterfaceServer, as in project.asgi:channel_layer.
    Give a port, an address, a UNIX socket or a descriptor, or several of them.

    SIGTERM or Ctrl-C finishes the requests in flight and closes the sockets with code 1012; a
    second one ends at once.
    """
    setup_logger("channels_classic.server", options["verbosity"])
    application = _application(channel_layer, options)
    listen = _listen(options)
    with _access_log(options) as stream:
        if stream is not None:
            application.use(action_logger=AccessLog(stream))
        _collect_rarely()
        try:
            run_server(application, listen, on_ready=lambda at: _banner(at, application))
        except ChannelsError as error:
            raise click.ClickException(str(error)) from error


def _collect_rarely() -> None:
    """A server holds many objects for long: looking through all of them often costs much time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def _application(path: str, options: dict[str, Any]) -> InterfaceServer:
    """The server at ``path``, or one for the layer there, with the options of the command."""
    target = load(path)
    is_server = isinstance(target, InterfaceServer)
    application = target if is_server else InterfaceServer(layer_of(target, path))
    settings = {
        name: options[name]
        for name in (
            *("http_timeout", "websocket_connect_timeout"),
            *("ws_protocols", "ordering", "root_path"),
        )
        if _is_given(name) or not is_server  # a server has options of its own
    }
    if lifetime := options["websocket_timeout"]:
        settings["websocket_timeout"] = None if lifetime < 0 else lifetime
    try:
        application.use(**settings)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    return application


def _is_given(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is not ParameterSource.DEFAULT


def _listen(options: dict[str, Any]) -> Listen:
    """Nothing given: 127.0.0.1:8000; half of an address: the default for the other half."""
    host, port = options["host"], options["port"]
    elsewhere = options["unix_socket"] is not None or options["fd"] is not None
    if port is None and (host is not None or not elsewhere):
        port = 8000
    return Listen(
        host=host or "127.0.0.1",
        port=port,
        ping_interval=options["ping_interval"],
        **{
            name: options[name]
            for name in (
                *("unix_socket", "fd", "ssl_certfile", "ssl_keyfile"),
                *("ping_timeout", "trusted_proxies"),
            )
        },
    )


@contextlib.contextmanager
def _access_log(options: dict[str, Any]) -> Iterator[TextIO | None]:
    path = options["access_log"]
    if path is None and options["verbosity"] == 0:
        yield None
    elif path in (None, "-"):
        yield sys.stdout
    else:
        try:
            stream = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed below
        except OSError as error:
            raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
        with stream:
            yield stream


def _banner(addresses: list[str], application: InterfaceServer) -> None:
    logger.info("Interface server %s, process %d", __version__, os.getpid())
    logger.info("Channel layer: %s", application.channel_layer)
    if is_local_only(type(application.channel_layer)):
        logger.warning(
            "Workers of other processes cannot reach this layer: use RedisChannelLayer, "
            "or manage.py runserver, which has workers of its own"
        )
    for address in addresses:
        logger.info("Listening on %s", address)


main.add_command(dead)
main.add_command(migrate)

if __name__ == "__main__":
    main()
