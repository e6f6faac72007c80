"""Routing: from a message to its consumer and the arguments that the filters captured."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from channels_classic.handler import ViewConsumer
from channels_classic.layers.names import valid_channel_name
from channels_classic.utils import name_that_thing

if TYPE_CHECKING:
    from channels_classic.message import Message

Consumer = Callable[..., Any]
Arguments = dict[str, Any]
Regexes = dict[str, re.Pattern[str]]


class RoutingEntry(Protocol):
    """What a list of routes holds: ours, or any object of yours with these two methods."""

    def match(self, message: Message) -> tuple[Consumer, Arguments] | None:
        """The consumer of ``message`` and its arguments, or None."""

    def channel_names(self) -> Iterable[str]:
        """The channels that workers have to read for this entry."""


class Router:
    """Finds the consumer of a message: the first match wins, depth first.

    ``routing`` is a list of routes, a dict of channel name and consumer, or the dotted path of
    one of these. Raises ``ImproperlyConfigured`` when it is none of them.
    """

    def __init__(self, routing: Any) -> None:
        self._use(Include(routing))

    def _use(self, root: Include) -> None:
        self.root = root
        self.channels = root.channel_names()

    def add_route(self, route: RoutingEntry) -> None:
        """Add ``route`` behind all others."""
        self._use(Include([*self.root.routing, route]))

    def match(self, message: Message) -> tuple[Consumer, Arguments] | None:
        """The consumer of ``message`` and the arguments for it, or None."""
        return self.root.match(message)

    def check_default(self, http_consumer: Consumer | None = None) -> None:
        """Add, behind all others, what runs where the project routes nothing.

        HTTP goes to ``http_consumer``, which is Django's views unless given; WebSockets are
        accepted and their messages ignored.
        """
        self.add_route(Route("http.request", http_consumer or ViewConsumer()))
        self.add_route(Route("websocket.connect", connect_consumer))
        self.add_route(Route(["websocket.receive", "websocket.disconnect"], null_consumer))

    @staticmethod
    def resolve_routing(routing: Any) -> Any:
        """``routing`` with a dotted path imported and a dict made into a list of routes.

        Raises ``ImproperlyConfigured`` when it cannot be imported.
        """
        if isinstance(routing, str):
            routing = _imported("routing", routing)
        if isinstance(routing, Mapping):
            return [Route(channel, consumer) for channel, consumer in routing.items()]
        return routing

    @staticmethod
    def normalise_re_arg(value: Any) -> Any:
        """``value`` with bytes made into text."""
        return value.decode("latin-1") if isinstance(value, bytes) else value


class Route:
    """Messages on ``channels`` that pass every filter go to ``consumer``.

    ``channels`` is one name or several; ``consumer`` a callable or its dotted path. A filter is a
    regular expression for one key of the message: it must match from the start of the value, and
    its named groups become arguments of the consumer.

    Raises ``ValueError`` for a filter that is not usable, ``InvalidName`` for a channel name, and
    ``ImproperlyConfigured`` for a consumer that cannot be imported, does not take what its
    filters capture, or is an ASGI application.
    """

    def __init__(
        self,
        channels: str | bytes | Iterable[str | bytes],
        consumer: Consumer | str,
        **filters: Any,
    ) -> None:
        self.channels = _names(channels)
        self.consumer = _loaded(consumer)
        self._text = _description("route", sorted(self.channels), self.consumer, filters)
        self.filters = _compiled(filters, owner=self._text)
        problem = _misfit(self, _group_names(self.filters), complete=False)
        if problem:
            raise ImproperlyConfigured(problem)

    def channel_names(self) -> set[str]:
        """The names of the channels of this route."""
        return set(self.channels)

    def match(self, message: Message) -> tuple[Consumer, Arguments] | None:
        """The consumer and what the filters captured, or None. No value makes it raise."""
        if message.channel_name not in self.channels:
            return None
        arguments: Arguments = {}
        for key, regex in self.filters.items():
            found = _match(regex, message.get(key))
            if found is None:
                return None
            arguments.update(found.groupdict())
        return self.consumer, arguments

    def __repr__(self) -> str:
        return self._text


class RouteClass(Route):
    """A ``Route`` to a class, which says itself which channels it consumes.

    Raises ``ValueError`` when ``consumer`` has no method ``channel_names``.
    """

    def __init__(self, consumer: Consumer | str, **filters: Any) -> None:
        loaded = _loaded(consumer)
        channel_names = getattr(loaded, "channel_names", None)
        if not callable(channel_names):
            raise ValueError(
                f"route_class() takes a consumer with channel_names(), which "
                f"{name_that_thing(loaded)} has not: derive it from BaseConsumer, or use route()"
            )
        super().__init__(channel_names(), loaded, **filters)


class Include:
    """Other routes, behind prefixes that are cut off before these routes look at a message.

    A prefix is a regular expression for one key of the message. What it captures is handed down;
    a route's own capture of the same name wins. The consumer sees the message uncut.

    Raises ``ValueError`` for a prefix that is not usable, ``ImproperlyConfigured`` for routing.
    """

    def __init__(self, routing: Any, **prefixes: Any) -> None:
        self._text = _description("include", routing, None, prefixes)
        self.routing = _entries(Router.resolve_routing(routing))
        self.prefixes = _compiled(prefixes, owner=self._text)
        self._by_channel, self._anywhere = _index(self.routing)

    def channel_names(self) -> set[str]:
        """The names of the channels of all routes in here."""
        return {name for entry in self.routing for name in entry.channel_names()}

    def match(self, message: Message) -> tuple[Consumer, Arguments] | None:
        """What the first route in here that matches answers, or None."""
        entries = self._by_channel.get(message.channel_name or "", self._anywhere)
        handed_down: Arguments = {}
        if self.prefixes and entries:
            cut = self._cut(message)
            if cut is None:
                return None
            message, handed_down = cut
        for entry in entries:
            found = entry.match(message)
            if found is not None:
                consumer, arguments = found
                return consumer, {**handed_down, **arguments}
        return None

    def _cut(self, message: Message) -> tuple[Message, Arguments] | None:
        """A view of ``message`` without the prefixes and what they captured, or None."""
        rests, arguments = {}, Arguments()
        for key, regex in self.prefixes.items():
            found = _match(regex, message.get(key))
            if found is None:
                return None
            rests[key] = found.string[found.end() :]
            arguments.update(found.groupdict())
        view = copy.copy(message)  # its content is a dict of its own, the values are not copied
        view.content = {**message.content, **rests}
        return view, arguments

    def __repr__(self) -> str:
        return self._text


route = Route
route_class = RouteClass
include = Include


def null_consumer(*args: Any, **kwargs: Any) -> None:
    """Does nothing."""


def connect_consumer(message: Message, *args: Any, **kwargs: Any) -> None:
    """Accepts the WebSocket."""
    if message.reply_channel is not None:
        message.reply_channel.send({"accept": True})


def check_routing(router: Router) -> list[str]:
    """What is wrong with the consumers of ``router``, one line each.

    Unlike a route by itself, this knows what the includes around it capture.
    """
    return list(_misfits(router.root, frozenset()))


def _misfits(parent: Include, captured: frozenset[str]) -> Iterator[str]:
    captured |= _group_names(parent.prefixes)
    for entry in parent.routing:
        if isinstance(entry, Include):
            yield from _misfits(entry, captured)
        elif isinstance(entry, Route):
            problem = _misfit(entry, captured | _group_names(entry.filters), complete=True)
            if problem:
                yield problem


# Filters ----------------------------------------------------------------------------------


def _match(regex: re.Pattern[str], value: Any) -> re.Match[str] | None:
    """Match from the start. Bytes are read as latin-1, which never fails; None never matches."""
    if value is None:
        return None
    text = Router.normalise_re_arg(value)
    return regex.match(text if isinstance(text, str) else str(text))


def _compiled(filters: Mapping[str, Any], *, owner: str) -> Regexes:
    return {key: _regex(key, value, owner) for key, value in filters.items()}


def _regex(key: str, value: Any, owner: str) -> re.Pattern[str]:
    try:
        regex = re.compile(Router.normalise_re_arg(value))
        regex.match("")  # a compiled regular expression for bytes fails here
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{key}={value!r} of {owner} is not a usable regular expression: {error}"
        ) from None
    if regex.groups != len(regex.groupindex):
        raise ValueError(
            f"{key}={value!r} of {owner} has a positional group: "
            "name it, (?P<name>…), or do not capture it, (?:…)"
        )
    return regex


def _group_names(regexes: Regexes) -> frozenset[str]:
    return frozenset(name for regex in regexes.values() for name in regex.groupindex)


# Entries ----------------------------------------------------------------------------------


def _entries(routing: Any) -> tuple[RoutingEntry, ...]:
    if isinstance(routing, (str, bytes)) or not isinstance(routing, Iterable):
        raise ImproperlyConfigured(
            f"routing is a list of routes, a dict of channel name and consumer, or the dotted "
            f"path of one of these, not {routing!r:.80}"
        )
    entries = tuple(routing)
    for entry in entries:
        if not all(callable(getattr(entry, name, None)) for name in ("match", "channel_names")):
            raise ImproperlyConfigured(
                f"{entry!r:.80} is not a route: use route(), route_class() or include()"
            )
    return entries


def _index(
    routing: Sequence[RoutingEntry],
) -> tuple[dict[str, list[RoutingEntry]], list[RoutingEntry]]:
    """The entries to ask for each channel name, and those to ask for any other name.

    An entry of the project's own may match what it does not list: it is asked for every name.
    """
    by_channel: dict[str, list[RoutingEntry]] = {}
    anywhere: list[RoutingEntry] = []
    for entry in routing:
        if _matches_what_it_lists(entry):
            for name in entry.channel_names():
                by_channel.setdefault(name, list(anywhere)).append(entry)
        else:
            for entries in (*by_channel.values(), anywhere):
                entries.append(entry)
    return by_channel, anywhere


def _matches_what_it_lists(entry: RoutingEntry) -> bool:
    if type(entry) is Include:
        return not entry._anywhere
    return type(entry) in (Route, RouteClass)


def _names(channels: str | bytes | Iterable[str | bytes]) -> set[str]:
    names = [channels] if isinstance(channels, (str, bytes)) else channels
    return {valid_channel_name(Router.normalise_re_arg(name)) for name in names}


# Consumers --------------------------------------------------------------------------------


def _loaded(consumer: Consumer | str) -> Consumer:
    loaded = _imported("consumer", consumer) if isinstance(consumer, str) else consumer
    if not callable(loaded):
        raise ImproperlyConfigured(
            f"a consumer is a callable or its dotted path, not {loaded!r:.80}"
        )
    if _is_asgi(loaded):
        raise ImproperlyConfigured(
            f"{name_that_thing(loaded)} is an ASGI application, as the consumers of Channels 2 to "
            "4 are: here a consumer is called with one message. Write a function of it, or derive "
            "a class from channels_classic.generic.websockets.WebsocketConsumer"
        )
    return loaded


def _is_asgi(consumer: Consumer) -> bool:
    """Whether it wants a scope where a message would come, and perhaps two functions."""
    is_class = isinstance(consumer, type)
    if is_class and hasattr(consumer, "as_asgi"):
        return True
    try:
        parameters = list(inspect.signature(consumer).parameters)
    except (TypeError, ValueError):  # not every callable has one
        return False
    return parameters[:3] == ["scope", "receive", "send"] or (is_class and parameters == ["scope"])


def _imported(kind: str, path: str) -> Any:
    try:
        return import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"cannot import the {kind} {path!r}: {error}") from error


def _misfit(route: Route, captured: frozenset[str], *, complete: bool) -> str | None:
    """Why the consumer of ``route`` cannot be called with what is captured, in one line.

    Unless ``complete``, more may be captured by an include around the route.
    """
    signature = _signature(route.consumer)
    if signature is None:
        return None
    bind = signature.bind if complete else signature.bind_partial
    try:
        bind(object(), **dict.fromkeys(captured))
    except TypeError as error:
        return (
            f"consumer {name_that_thing(route.consumer)} does not fit {route}: {error} "
            "(it is called with the message, then each named group as a keyword argument)"
        )
    return None


def _signature(consumer: Consumer) -> inspect.Signature | None:
    """What ``consumer`` takes. Our own decorators hand on all they get, so look behind them.

    Decorators of others may add and take away arguments: their own signature counts.
    """
    if inspect.isfunction(consumer):
        consumer = inspect.unwrap(consumer, stop=lambda wrapper: not _is_ours(wrapper))
    try:
        return inspect.signature(consumer, follow_wrapped=False)
    except (TypeError, ValueError, NameError):  # built in, or its annotations cannot be read
        return None


def _is_ours(function: Any) -> bool:
    module = getattr(function, "__globals__", {}).get("__name__", "")
    return bool(module.startswith("channels_classic."))


def _description(kind: str, subject: Any, consumer: Consumer | None, filters: Arguments) -> str:
    """The route as it is written in a list of routes, for errors."""
    parts = [f"{subject!r:.80}"]
    if consumer is not None:
        parts.append(name_that_thing(consumer))
    parts += [f"{key}={value!r}" for key, value in filters.items()]
    return f"{kind}({', '.join(parts)})"
