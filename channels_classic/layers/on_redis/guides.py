"""Nodes whose place other servers know: those are asked before every connect."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.ring import Host, Interruptible, Node, Place
from channels_classic.layers.on_redis.wire import Command

#: How long to wait for a guide to be reached and for each of its answers, in seconds.
PATIENCE = 1.0
#: How often, and for how long, it is looked again whether a server has moved, in seconds.
LOOK, LOOK_FOR = 1.0, 10.0

#: Makes a place out of the answer of a guide; ``LookupError`` when it does not know.
Read = Callable[[Any, Node], Place]


class Guides:
    """Servers that know where others are; the one that knew last is asked first."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._named = self._nodes = tuple(nodes)

    def ask(self, question: Command, read: Read) -> Place:
        """The answer of the first that knows, or ``LookupError`` with what each one said."""
        failures: list[str] = []
        for node in self._nodes:
            try:
                place = read(_ask(node, question), node)
            except (RedisError, OSError, LookupError) as error:
                failures.append(_failure(node, error))
            else:
                self._put_first(node)
                return place
        raise LookupError("; ".join(failures))

    async def ask_async(self, question: Command, read: Read) -> Place:
        """``ask`` for an event loop."""
        failures: list[str] = []
        for node in self._nodes:
            try:
                place = read(await _ask_async(node, question), node)
            except (RedisError, OSError, LookupError) as error:
                failures.append(_failure(node, error))
            else:
                self._put_first(node)
                return place
        raise LookupError("; ".join(failures))

    def _put_first(self, node: Node) -> None:
        if self._nodes[0] is not node:
            self._nodes = (node, *(other for other in self._nodes if other is not node))

    def put_last(self) -> None:
        """What the first one says has turned out to be wrong: the others are asked before it."""
        first, *others = self._nodes
        self._nodes = (*others, first)

    def learn(self, places: Collection[Place], like: Node) -> None:
        """Ask the servers at ``places`` too, and no others but those named in the beginning.

        They are connected to with the options of ``like``.
        """
        kept = [node for node in self._nodes if node in self._named or _place(node) in places]
        known = {_place(node) for node in kept}
        self._nodes = (*kept, *(like.at(place) for place in places if place not in known))


class GuidedNode(Node):
    """A server that moves: the guides are asked for its place before every connect.

    ``refresh`` is how long, in seconds, an answer may be used again, unless a connection fails.
    """

    def __init__(
        self,
        host: Host,
        connection_kwargs: Mapping[str, Any],
        *,
        guides: Guides,
        question: Command,
        refresh: float = 0,
    ) -> None:
        super().__init__(host, connection_kwargs)
        self._guides = guides
        self._question = question
        self._refresh = refresh
        self._ask_again = self._look_until = 0.0  # by the monotonic clock
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None
        self._links: weakref.WeakSet[Interruptible] = weakref.WeakSet()

    def read(self, answer: Any, guide: Node) -> Place:
        """The place in the answer of ``guide``; ``LookupError`` when it does not know."""
        raise NotImplementedError

    def remedy(self) -> str:
        """What to do when no guide knows the place."""
        raise NotImplementedError

    def find(self) -> Place:
        if self.place is not None and time.monotonic() < self._ask_again:
            return self.place
        try:
            return self._found(self._guides.ask(self._question, self.read))
        except LookupError as error:
            raise self._lost(error) from None

    async def find_async(self) -> Place:
        if self.place is not None and time.monotonic() < self._ask_again:
            return self.place
        try:
            return self._found(await self._guides.ask_async(self._question, self.read))
        except LookupError as error:
            raise self._lost(error) from None

    def look_again(self) -> None:
        self._look_until = time.monotonic() + LOOK_FOR
        if self._looking is not None and self._looking.is_alive():
            return
        with self._lock:
            if self._looking is None or not self._looking.is_alive():
                self._looking = threading.Thread(target=self._look, name="look again", daemon=True)
                self._looking.start()

    def _look(self) -> None:
        while time.monotonic() < self._look_until:
            time.sleep(LOOK)
            with suppress(LayerUnavailable):  # whoever uses it will say so
                self.find()

    def add_link(self, link: Interruptible) -> None:
        with self._lock:
            self._links.add(link)

    def _found(self, place: Place) -> Place:
        self._ask_again = time.monotonic() + self._refresh
        has_moved = self.place not in (None, place)
        self.place = place
        if has_moved:
            with self._lock:
                links = list(self._links)
            for link in links:
                link.interrupt()
        return place

    def _lost(self, error: LookupError) -> LayerUnavailable:
        return LayerUnavailable(f"Nobody knows where {self.name} is ({error}): {self.remedy()}")

    def forget(self) -> None:
        self._ask_again = 0.0
        self._guides.put_last()

    def advice(self, error: Exception) -> str:
        return ""  # the next call asks for the place again


def _ask(node: Node, question: Command) -> Any:
    connection = node.connect(None)
    try:
        connection.connect()
        connection.send_command(*question)
        return connection.read_response()
    finally:
        connection.disconnect()


async def _ask_async(node: Node, question: Command) -> Any:
    connection = node.connect_async(None)
    try:
        async with asyncio.timeout(2 * node.patience):
            await connection.connect()
            await connection.send_command(*question)
            return await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)


def _place(node: Node) -> tuple[str, int]:
    return node.options["host"], node.options["port"]


def _failure(node: Node, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return f"{node.name}: {reason.rstrip('.')}"
