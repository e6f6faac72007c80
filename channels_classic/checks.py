"""System checks of the settings: id, message and hint for each thing that is wrong with them.

=========================  =====================================================================
``channels_classic.E001``  CHANNEL_LAYERS is not a dict
``channels_classic.E002``  the entry of an alias is not a dict
``channels_classic.E003``  there is no BACKEND
``channels_classic.E004``  BACKEND is the layer of another package
``channels_classic.E005``  BACKEND cannot be imported, or is not a class
``channels_classic.E006``  CONFIG is not a dict, or the layer does not take it
``channels_classic.E007``  there is no ROUTING
``channels_classic.E008``  ROUTING cannot be imported
``channels_classic.E009``  ROUTING is neither a list nor a dict of routes
``channels_classic.E010``  a route is not usable: a filter, a channel name or a consumer
``channels_classic.E011``  a consumer does not take what its route and the includes capture
``channels_classic.W001``  an unknown key in the entry of an alias
``channels_classic.W002``  the layer of one process with DEBUG off (``check --deploy`` alone)
``channels_classic.W003``  ALLOWED_ORIGINS of CHANNELS_CLASSIC is no list of origins
``channels_classic.W004``  SERVER of CHANNELS_CLASSIC has an unknown key, or a value it cannot have
=========================  =====================================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from channels_classic.asgi import (
    REPLACED_BACKENDS,
    build_layer,
    is_local_only,
    load_layer_class,
)
from channels_classic.conf import channel_layer_configs, option
from channels_classic.exceptions import ChannelsError
from channels_classic.origin_patterns import is_pattern
from channels_classic.routing import Router, check_routing
from channels_classic.server.options import Limits, ServerOptions, configured

KEYS = ("BACKEND", "CONFIG", "ROUTING", "TEST_CONFIG")
ENTRY_HINT = (
    "Write {'BACKEND': 'channels_classic.layers.redis.RedisChannelLayer', "
    "'CONFIG': {'hosts': [('localhost', 6379)]}, 'ROUTING': 'project.routing.channel_routing'}."
)
BACKEND_HINT = (
    "Use 'channels_classic.layers.redis.RedisChannelLayer', or, for one process, "
    "'channels_classic.layers.memory.InMemoryChannelLayer'."
)
ROUTING_HINT = (
    "Give it a list of routes, or the dotted path of one, "
    "such as 'project.routing.channel_routing'."
)
ROUTE_HINT = "Correct the route, or what its module imports; no message is routed until then."
MOVED_HINT = (
    "What Channels 1 had in channels is in channels_classic, under the same names: "
    "'channels-classic migrate' shows and makes the changes."
)
CONSUMER_HINT = (
    "Give the consumer each named group as an argument, or **kwargs; or do not name the group."
)
ORIGIN_HINT = (
    "List the origins of the pages that may open WebSockets, with no path: "
    "'https://example.com', 'https://*.example.com', 'https://example.com:8000', 'example.com' "
    "for every scheme and port, or '*' for all. The default is ALLOWED_HOSTS."
)
SERVER_HINT = (
    "The server does not start with it. Its options are those of 'channels-classic server --help', "
    "with underscores: {'http_timeout': 60}."
)


def register_checks() -> None:
    """Make Django run the checks of this module."""
    for check in (
        check_setting,
        check_entries,
        check_keys,
        check_backends,
        check_options,
        check_routings,
        check_consumers,
        check_origins,
        check_server,
    ):
        register(check, "channels_classic")
    # Test runs have DEBUG off and the layer of one process, and are right to.
    register(check_local_layers, "channels_classic", deploy=True)


def check_setting(**kwargs: Any) -> list[CheckMessage]:
    """The setting is a dict: E001."""
    configs: Any = channel_layer_configs()
    if isinstance(configs, Mapping):
        return []
    text = f"CHANNEL_LAYERS is not a dict but a {type(configs).__name__}."
    return [_error("E001", text, f"Key it by alias: {{'default': …}}. {ENTRY_HINT}")]


def check_entries(**kwargs: Any) -> list[CheckMessage]:
    """Each entry is a dict: E002."""
    return [
        _error("E002", f"{_at(alias)} is not a dict but a {type(entry).__name__}.", ENTRY_HINT)
        for alias, entry in _configs().items()
        if not isinstance(entry, Mapping)
    ]


def check_keys(**kwargs: Any) -> list[CheckMessage]:
    """Each entry has known keys: W001."""
    found: list[CheckMessage] = []
    for alias, entry in _entries():
        for key in entry:
            if key not in KEYS:
                text = f"{_at(alias)} has the unknown key {key!r}, which does nothing."
                close = difflib.get_close_matches(str(key).upper(), KEYS, n=1)
                known = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(KEYS)}."
                found.append(_warning("W001", text, known))
    return found


def check_backends(**kwargs: Any) -> list[CheckMessage]:
    """Each entry names the class of a layer that works here: E003, E004, E005."""
    found: list[CheckMessage] = []
    for alias, entry in _entries():
        path = entry.get("BACKEND")
        _, error = _attempt(load_layer_class, alias, entry)
        if not path:
            found.append(_error("E003", f"{_at(alias)} has no BACKEND.", BACKEND_HINT))
        elif isinstance(path, str) and path in REPLACED_BACKENDS:
            text = f"{_at(alias)}: BACKEND {path!r} is the layer of another package."
            found.append(_error("E004", text, f"Use {REPLACED_BACKENDS[path]!r}."))
        elif error:
            found.append(_error("E005", _line(error), BACKEND_HINT))
    return found


def check_options(**kwargs: Any) -> list[CheckMessage]:
    """Each layer takes its CONFIG: E006. This makes a layer, which connects to nothing."""
    found: list[CheckMessage] = []
    for alias, entry in _entries():
        layer_class, _ = _attempt(load_layer_class, alias, entry)
        if layer_class is not None:
            _, error = _attempt(build_layer, layer_class, alias, entry)
            if error:
                hint = f"CONFIG holds the options of {entry['BACKEND']!r}: correct or remove it."
                found.append(_error("E006", _line(error), hint))
    return found


def check_routings(**kwargs: Any) -> list[CheckMessage]:
    """Each entry has routes, and they are usable: E007, E008, E009, E010."""
    checked = (_check_routing(_at(alias), entry) for alias, entry in _entries())
    return [message for message in checked if message is not None]


def _check_routing(where: str, entry: Mapping[str, Any]) -> CheckMessage | None:
    if "ROUTING" not in entry:
        return _error("E007", f"{where} has no ROUTING.", ROUTING_HINT)
    routing, error = _attempt(_imported, entry["ROUTING"])
    if isinstance(error, ImportError):
        text = f"{where}: cannot import the ROUTING {entry['ROUTING']!r}: {_line(error)}"
        return _error("E008", text, _moved(error) or ROUTING_HINT)
    if error is None:
        if not isinstance(routing, (list, tuple, Mapping)):
            text = f"{where}: ROUTING is not a list or dict but a {type(routing).__name__}."
            return _error("E009", text, ROUTING_HINT)
        _, error = _attempt(Router, routing)
    if error is None:
        return None
    hint = _moved(error) or ROUTE_HINT
    return _error("E010", f"{where}: ROUTING is not usable: {_line(error)}", hint)


def _moved(error: Exception) -> str:
    """The hint for a module that still imports Channels 1."""
    cause = error if isinstance(error, ImportError) else error.__cause__
    module = getattr(cause, "name", None) or ""
    return MOVED_HINT if str(module).partition(".")[0] == "channels" else ""


def check_consumers(**kwargs: Any) -> list[CheckMessage]:
    """Each consumer takes what its route and the includes around it capture: E011."""
    found: list[CheckMessage] = []
    for alias, entry in _entries():
        problems, _ = _attempt(_misfits, entry.get("ROUTING"))
        found.extend(
            _error("E011", f"{_at(alias)}: {problem}", CONSUMER_HINT) for problem in problems or ()
        )
    return found


def check_local_layers(**kwargs: Any) -> list[CheckMessage]:
    """In production no layer is confined to one process: W002."""
    found: list[CheckMessage] = []
    for alias, entry in _entries():
        layer_class, _ = _attempt(load_layer_class, alias, entry)
        if not settings.DEBUG and layer_class is not None and is_local_only(layer_class):
            text = f"{_at(alias)} carries messages within one process, and DEBUG is off."
            hint = f"Servers and workers on it never meet. {BACKEND_HINT}"
            found.append(_warning("W002", text, hint))
    return found


def check_origins(**kwargs: Any) -> list[CheckMessage]:
    """``ALLOWED_ORIGINS`` lists origins of pages: W003."""
    where = "CHANNELS_CLASSIC['ALLOWED_ORIGINS']"
    patterns, error = _attempt(option, "ALLOWED_ORIGINS", None)
    if error is not None:
        text = f"CHANNELS_CLASSIC is not a dict of options: {_line(error)}"
        return [_warning("W003", text, f"Write {{'ALLOWED_ORIGINS': […]}}. {ORIGIN_HINT}")]
    if patterns is None:
        return []
    if not isinstance(patterns, (list, tuple, set, frozenset)):
        text = f"{where} is not a list but a {type(patterns).__name__}."
        return [_warning("W003", text, ORIGIN_HINT)]
    bad = [pattern for pattern in patterns if not is_pattern(pattern)]
    return [_warning("W003", f"{where}: no page has the origin {p!r}.", ORIGIN_HINT) for p in bad]


def check_server(**kwargs: Any) -> list[CheckMessage]:
    """``SERVER`` names options of the server, with values that they can have: W004."""
    if _attempt(option, "SERVER", None)[1] is not None:
        return []  # W003 is about a CHANNELS_CLASSIC that is no dict
    errors = [_attempt(_options_of, kind)[1] for kind in (ServerOptions, Limits)]
    texts = dict.fromkeys(_line(error) for error in errors if error is not None)
    return [_warning("W004", f"{text}.", SERVER_HINT) for text in texts]


def _options_of(kind: type[Any]) -> Any:
    return kind(**configured(kind))


# Helpers ----------------------------------------------------------------------------------


def _configs() -> Mapping[Any, Any]:
    configs: Any = channel_layer_configs()
    return configs if isinstance(configs, Mapping) else {}


def _entries() -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The entries that are dicts; ``check_entries`` is about the others."""
    for alias, entry in _configs().items():
        if isinstance(entry, Mapping):
            yield alias, entry


def _attempt(call: Callable[..., Any], *args: Any) -> tuple[Any, Exception | None]:
    """What ``call`` returns, and what it raises.

    It may import modules of the project, which may raise anything; a check never raises.
    """
    try:
        return call(*args), None
    except Exception as error:
        return None, error


def _imported(routing: Any) -> Any:
    return import_string(routing) if isinstance(routing, str) else routing


def _misfits(routing: Any) -> list[str]:
    return check_routing(Router(routing))


def _at(alias: str) -> str:
    return f"CHANNEL_LAYERS[{alias!r}]"


def _line(error: Exception) -> str:
    """``error`` in one line, with its type unless it is one that explains itself."""
    text = " ".join(str(error).split())
    if isinstance(error, (ChannelsError, ImproperlyConfigured, ImportError, ValueError)):
        return text
    return f"{type(error).__name__}: {text}"


def _error(number: str, text: str, hint: str) -> CheckMessage:
    return Error(text, hint=hint, id=f"channels_classic.{number}")


def _warning(number: str, text: str, hint: str) -> CheckMessage:
    return CheckWarning(text, hint=hint, id=f"channels_classic.{number}")
