"""Decorators of Channels 1 for consumers of one connection: for now, those about their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])


@overload
def enforce_ordering(func: F, /) -> F: ...


@overload
def enforce_ordering(func: None = None, /, *, slight: bool = False) -> Callable[[F], F]: ...


def enforce_ordering(func: Any = None, /, *, slight: bool = False) -> Any:
    """The consumer itself: ``@enforce_ordering`` or ``@enforce_ordering()``.

    There is nothing left to do. The interface server has at most one message of a connection on
    the bus, and the next one goes when the last has been dealt with: consumers of a connection run
    in order and one at a time, whether they are functions, methods or behind a demultiplexer, and
    an error in one of them stops nothing. It costs no session, and nothing waits in a worker.

    Only a consumer with ``@consumer(ordering=False)``, or a server with ``ordering`` off, is
    without it. ``slight=True`` is refused with ``ValueError``, as Channels 1 did in the end.
    """
    if slight:
        raise ValueError(
            "slight ordering is no more: each connection has its messages in order as it is, so "
            "leave slight out"
        )
    return _unchanged if func is None else func


def _unchanged(func: F) -> F:
    return func
