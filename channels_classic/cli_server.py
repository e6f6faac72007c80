"""``channels-classic server``: parses options, then calls the functions that run."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import Field
from typing import Any

import click
from click.core import ParameterSource

from channels_classic import __version__, tracing_setup
from channels_classic.asgi import is_local_only
from channels_classic.cli_target import layer_of, load
from channels_classic.exceptions import ChannelsError
from channels_classic.log import FORMATS as LOG_FORMATS
from channels_classic.log import setup_logger
from channels_classic.notify import say_ready
from channels_classic.server.access import FORMATS, AccessLog, LogFile, Stream
from channels_classic.server.app import InterfaceServer
from channels_classic.server.family import Inheritance
from channels_classic.server.options import (
    Limits,
    Listen,
    ServerOptions,
    configured,
    flag_of,
    settings_of,
    shown_default,
)
from channels_classic.server.run import run_processes, run_server

logger = logging.getLogger("channels_classic.server")

_SHORT = {"http_timeout": "-t"}
_LISTEN = ("unix_socket", "fd", "ssl_certfile", "ssl_keyfile", "engine")
_SECTIONS = {"Messages": ServerOptions, "Limits of connections": Limits}


class _Sections(click.Command):
    """Its help has a section for each class of options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in their sections, as click does."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        names = {f.name: title for title, kind in _SECTIONS.items() for f in settings_of(kind)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                title = names.get(parameter.name or "", "Options")
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _from_fields(kind: type[Any]) -> Callable[[Any], Any]:
    """One option for each field of ``kind`` that can be set."""

    def decorate(function: Any) -> Any:
        for each in reversed(settings_of(kind)):
            function = _option(each)(function)
        return function

    return decorate


def _option(each: Field[Any]) -> Callable[[Any], Any]:
    flag, default = flag_of(each), each.default
    names = [*([_SHORT[each.name]] if each.name in _SHORT else []), flag, each.name]
    text = f"{each.metadata['text']}  [default: {shown_default(each)}]"
    if isinstance(default, bool):
        return click.option(f"{flag}/--no-{flag[2:]}", each.name, default=None, help=text)
    if isinstance(default, tuple):
        return click.option(*names, multiple=True, metavar="NAME", help=each.metadata["text"])
    if default is None:
        return click.option(*names, type=float, help=text)
    if default == "":
        return click.option(*names, metavar="PATH", help=each.metadata["text"])
    return click.option(*names, type=type(default), help=text)


@click.command(cls=_Sections, context_settings={"show_default": True, "max_content_width": 100})
@click.argument("channel_layer", metavar="MODULE:ATTRIBUTE")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="TCP port.  [default: 8000]")
@click.option("-b", "--bind", "host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("-u", "--unix-socket", type=click.Path(), help="Listen on a UNIX socket.")
@click.option("--fd", type=click.IntRange(0), help="Listen on an inherited descriptor.")
@click.option("--ssl-certfile", type=click.Path(exists=True), help="Certificate chain, for TLS.")
@click.option("--ssl-keyfile", type=click.Path(exists=True), help="Key of the certificate.")
@click.option(
    "--engine",
    type=click.Choice(["uvicorn", "hypercorn"]),
    default="uvicorn",
    help="hypercorn speaks HTTP/2; it needs the extra http2.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Processes that share the port, under one that starts them, and others on SIGHUP.",
)
@click.option(
    "--access-log",
    metavar="FILE",
    help="Append the access log to FILE, also when that is rotated; - is standard output.",
)
@click.option(
    "--access-log-format",
    type=click.Choice(list(FORMATS)),
    help="Of Channels 1; those of other web servers; or JSON, which has the request ids.  "
    "[default: classic, or json with --log-format json]",
)
@click.option(
    "--log-format",
    type=click.Choice(list(LOG_FORMATS)),
    default="text",
    help="Of what the server says: text, or a JSON object a line with the request ids.",
)
@click.option(
    "-v",
    "--verbosity",
    type=click.IntRange(0, 2),
    default=1,
    help="0: warnings; 1: information, and the access log; 2: debugging.",
)
@_from_fields(ServerOptions)
@_from_fields(Limits)
def server(channel_layer: str, **options: Any) -> None:
    """Run the interface server for the channel layer at MODULE:ATTRIBUTE.

    MODULE:ATTRIBUTE is a channel layer, or an InterfaceServer, as in project.asgi:channel_layer.
    Give a port, an address, a UNIX socket or a descriptor, or several of them.

    SIGTERM or Ctrl-C finishes the requests in flight and closes the sockets with code 1012; a
    second one ends at once. With --processes SIGHUP replaces the processes, one after the other,
    by new ones with new code, settings and certificates; no request is lost.
    """
    setup_logger("channels_classic.server", options["verbosity"], options["log_format"])
    inheritance = Inheritance.claim()
    try:
        if options["processes"] and inheritance is None:
            sys.exit(_run_processes(_listen(options), options["processes"]))
        _run(channel_layer, options, inheritance)
    except ChannelsError as error:
        raise click.ClickException(str(error)) from error


def _run_processes(listen: Listen, number: int) -> int:
    """This same command, several times; they find out by their inheritance what they are."""
    logger.info("Interface server %s, process %d", __version__, os.getpid())
    command = [sys.executable, *sys.orig_argv[1:]]
    return run_processes(command, listen, number, on_ready=_say_where)


def _run(path: str, options: dict[str, Any], inheritance: Inheritance | None) -> None:
    application = _application(path, _given(ServerOptions, options))
    tracing_setup.set_up("channels-classic server")
    limits = Limits(**{**configured(Limits), **_given(Limits, options)})

    def on_ready(addresses: list[str]) -> None:
        if inheritance is None:
            logger.info("Interface server %s, process %d", __version__, os.getpid())
        if inheritance is None or inheritance.speaks:
            _say_which_layer(application)
        if inheritance is None:
            _say_where(addresses)

    with _access_log(options) as stream:
        if stream is not None:
            application.use(action_logger=AccessLog(stream, _access_style(options)))
        _collect_rarely()
        run_server(
            application, _listen(options), limits, on_ready=on_ready, inheritance=inheritance
        )


def _collect_rarely() -> None:
    """A server holds many objects for long: looking through all of them often costs much time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def _application(path: str, given: dict[str, Any]) -> InterfaceServer:
    """The server at ``path``, or one for the layer there, with what was ``given``."""
    target = load(path)
    is_server = isinstance(target, InterfaceServer)
    application = target if is_server else InterfaceServer(layer_of(target, path))
    application.use(**given)
    return application


def _given(kind: type[Any], options: dict[str, Any]) -> dict[str, Any]:
    """Those fields of ``kind`` that are on the command line."""
    given = {f.name: options[f.name] for f in settings_of(kind) if _is_given(f.name)}
    if given.get("websocket_timeout", 1) <= 0:
        given["websocket_timeout"] = None
    if "trusted_proxies" in given:
        parts = ",".join(given["trusted_proxies"]).split(",")
        given["trusted_proxies"] = [part.strip() for part in parts if part.strip()]
    return given


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
        **{name: options[name] for name in _LISTEN},
    )


@contextlib.contextmanager
def _access_log(options: dict[str, Any]) -> Iterator[Stream | None]:
    path = options["access_log"]
    if path is None and options["verbosity"] == 0:
        yield None
    elif path in (None, "-"):
        yield sys.stdout
    else:
        try:
            stream = LogFile(path)
        except OSError as error:
            raise click.ClickException(f"cannot write {path}: {error.strerror}") from error
        with contextlib.closing(stream):
            yield stream


def _access_style(options: dict[str, Any]) -> str:
    """JSON lines are for a program that reads both."""
    given: str | None = options["access_log_format"]
    return given or ("json" if options["log_format"] == "json" else "classic")


def _say_which_layer(application: InterfaceServer) -> None:
    logger.info("Channel layer: %s", application.channel_layer)
    if is_local_only(type(application.channel_layer)):
        logger.warning(
            "Workers of other processes cannot reach this layer: use RedisChannelLayer, "
            "or manage.py runserver, which has workers of its own"
        )


def _say_where(addresses: list[str]) -> None:
    for address in addresses:
        logger.info("Listening on %s", address)
    say_ready()
