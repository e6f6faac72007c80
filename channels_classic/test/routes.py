"""``apply_routes``: other routes for a test, a block or a whole test case."""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar, cast

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.routing import Router, include

T = TypeVar("T", bound=Callable[..., Any])


class apply_routes:
    """Only these routes on the layers ``aliases``, instead of their own, until it is undone.

    A context manager, and a decorator for functions, coroutine functions and test cases.
    ``routes`` is a route, a list of routes, or anything that ROUTING may be; a list may hold lists
    of routes, too. Raises what ``Router`` raises, and ``KeyError`` for an unknown alias.
    """

    def __init__(
        self, routes: Any, aliases: Iterable[str] | str = (DEFAULT_CHANNEL_LAYER,)
    ) -> None:
        self.routes = _routing(routes)
        self.aliases = [aliases] if isinstance(aliases, str) else list(aliases)
        self._replaced: list[list[tuple[ChannelLayerWrapper, Any, Router]]] = []

    def __enter__(self) -> Self:
        layers = [channel_layers[alias] for alias in self.aliases]
        routers = [Router(self.routes) for _ in layers]
        self._replaced.append([(each, each.routing, each.router) for each in layers])
        for layer, router in zip(layers, routers, strict=True):
            layer.routing, layer.router = self.routes, router
        return self

    def __exit__(self, *exception: object) -> None:
        for layer, routing, router in self._replaced.pop():
            layer.routing, layer.router = routing, router

    def __call__(self, decorated: T) -> T:
        """``decorated`` with the routes; ``TypeError`` for a class that is no test case."""
        if isinstance(decorated, type):
            return cast("T", self._on_class(decorated))
        if inspect.iscoroutinefunction(decorated):

            @functools.wraps(decorated)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await decorated(*args, **kwargs)

            return cast("T", run_async)

        @functools.wraps(decorated)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return decorated(*args, **kwargs)

        return cast("T", run)

    def _on_class(self, case: type) -> type:
        if not issubclass(case, unittest.TestCase):
            raise TypeError(f"apply_routes is for functions and test cases, not for {case!r}")
        set_up = case.setUp

        @functools.wraps(set_up)
        def set_up_with_routes(this: unittest.TestCase) -> None:
            done = this.__dict__.setdefault("_routed_aliases", set())
            mine = [alias for alias in self.aliases if alias not in done]  # by a class below
            done.update(mine)
            this.addCleanup(done.difference_update, mine)
            this.enterContext(apply_routes(self.routes, mine))  # left also when setUp fails
            set_up(this)

        case.setUp = set_up_with_routes  # type: ignore[method-assign, assignment]
        return case


def _routing(routes: Any) -> Any:
    """``routes`` as ROUTING would have them."""
    if isinstance(routes, (str, Mapping)):
        return routes
    entries = routes if isinstance(routes, (list, tuple)) else [routes]
    return [include(each) if _is_routing(each) else each for each in entries]


def _is_routing(entry: Any) -> bool:
    return isinstance(entry, (str, list, tuple, Mapping))
