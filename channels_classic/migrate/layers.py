"""The entries of CHANNEL_LAYERS: the class of the layer, and options that it does not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from channels_classic.migrate.findings import Edit, Note
from channels_classic.migrate.names import BACKENDS
from channels_classic.migrate.syntax import Syntax, text_of

_LOCAL_ON_REDIS = "RedisLocalChannelLayer"
_REDIS = BACKENDS["asgi_redis.RedisChannelLayer"]
#: Options that no layer here has.
_GONE = frozenset({"stats_prefix", "message_memory", "group_memory"})
#: Options of the connection that the layer decides itself.
_GONE_KWARGS = frozenset({"socket_timeout", "retry_on_timeout", "retry_on_error"})
#: What the reply channels of daphne were named after.
_OLD_CHANNELS = ("http.response", "websocket.send", "daphne.")

_LOCAL_TEXT = (
    "RedisLocalChannelLayer with hosts: RedisChannelLayer takes its place. If all processes are "
    "on one machine, channels_classic.layers.local.LocalChannelLayer needs no Redis of yours"
)
_CONFIG_TEXT = "these options are made elsewhere: look whether {backend} takes them"
_CAPACITY_TEXT = (
    "no channel has such a name: the capacity of a reply channel is that of one connection now, "
    "and its name begins with 'server.reply.'"
)
_SERVICES_TEXT = "RedisSentinelChannelLayer must be told its services: nobody asks the Sentinels"
_RABBIT_TEXT = (
    "there is no layer on RabbitMQ: RedisChannelLayer takes hosts, a list of Redis URLs, in the "
    "place of url"
)
TEST_CONFIG_TEXT = (
    "TEST_CONFIG: the options of the layer of ChannelLiveServerTestCase, which flushes it; "
    "point it to a Redis database, or give it a prefix, of its own"
)


class Layers(cst.CSTVisitor):
    """Collects the edits of dicts with a BACKEND of Channels 1; ``taken`` are texts it has seen."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self.edits: list[Edit] = []
        self.notes: list[Note] = []
        self.taken: set[cst.CSTNode] = set()

    def visit_Dict(self, node: cst.Dict) -> None:
        """One dict, which may be the entry of an alias."""
        entry = dict(_items(node))
        if "TEST_CONFIG" in entry and "BACKEND" in entry:
            self._note(entry["TEST_CONFIG"], TEST_CONFIG_TEXT)
        backend = entry.get("BACKEND")
        old = text_of(backend)
        if backend is None or old not in BACKENDS:
            return
        new = self._backend(old, backend, entry)
        for key in ("CONFIG", "TEST_CONFIG"):
            if key in entry:
                self._options(entry[key], new)
        if "Sentinel" in new and "services" not in dict(_items(entry.get("CONFIG"))):
            self._note(backend, _SERVICES_TEXT)

    def _backend(
        self, old: str, node: cst.BaseExpression, entry: dict[str, cst.BaseExpression]
    ) -> str:
        """The new class, put in the place of the old one."""
        new = BACKENDS[old]
        if old.endswith(_LOCAL_ON_REDIS) and "hosts" in dict(_items(entry.get("CONFIG"))):
            new = _REDIS  # the hosts were for what is shared with other machines
            self._note(node, _LOCAL_TEXT)
        if old.startswith("asgi_rabbitmq"):
            self._note(node, _RABBIT_TEXT)
        if isinstance(node, cst.SimpleString) and old in node.value:
            self.edits.append(self._syntax.replace(node, node.value.replace(old, new)))
            self.taken.add(node)
        return new

    def _options(self, config: cst.BaseExpression, backend: str) -> None:
        if not isinstance(config, cst.Dict):
            self._note(config, _CONFIG_TEXT.format(backend=backend))
            return
        options = dict(_items(config))
        self._remove(config, _GONE)
        kwargs = options.get("connection_kwargs")
        if isinstance(kwargs, cst.Dict):
            self._remove(kwargs, _GONE_KWARGS)
        for pattern, capacity in _items(options.get("channel_capacity")):
            if pattern.startswith(_OLD_CHANNELS):
                self._note(capacity, _CAPACITY_TEXT)

    def _remove(self, node: cst.Dict, keys: frozenset[str]) -> None:
        gone = [_key(element) in keys for element in node.elements]
        for start, end in self._spans(node, gone):
            if b"#" in self._syntax.data[start:end]:
                text = f"no layer has the options {', '.join(sorted(keys))}: remove them"
                self._note(node, text)
                return
        self.edits += [Edit(start, end, b"") for start, end in self._spans(node, gone)]

    def _spans(self, node: cst.Dict, gone: Sequence[bool]) -> Iterator[tuple[int, int]]:
        """From where to where the elements that are ``gone`` are, with a comma each."""
        places = [(self._syntax.span(each)[0], self._end(each)) for each in node.elements]
        if all(gone):
            start, end = self._syntax.span(node)
            if gone:
                yield start + 1, end - 1
            return
        for i, is_gone in enumerate(gone):
            if is_gone and not all(gone[i:]):
                yield places[i][0], places[i + 1][0]
        kept = max(i for i, is_gone in enumerate(gone) if not is_gone)
        if kept < len(gone) - 1:
            yield places[kept][1], places[-1][1]

    def _end(self, element: cst.BaseDictElement) -> int:
        """Where the value ends, before its comma."""
        return self._syntax.span(element.value)[1]

    def _note(self, node: cst.CSTNode, text: str) -> None:
        self.notes.append(self._syntax.note(node, text))


def _items(node: cst.BaseExpression | None) -> Iterator[tuple[str, cst.BaseExpression]]:
    """The keys that are literals, with their values; nothing for what is no dict display."""
    for element in node.elements if isinstance(node, cst.Dict) else ():
        if (key := _key(element)) is not None:
            yield key, element.value


def _key(element: cst.BaseDictElement) -> str | None:
    return text_of(element.key) if isinstance(element, cst.DictElement) else None
