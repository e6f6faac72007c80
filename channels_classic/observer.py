"""Observer: tells traces and metrics of each run of a consumer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, Self

from channels_classic import tracing
from channels_classic.policy import Outcome
from channels_classic.utils import name_that_thing

if TYPE_CHECKING:
    from channels_classic.dispatch import Match, Result
    from channels_classic.layers.traffic import Delivery


class Meter(Protocol):
    """What counts the runs of consumers; see ``worker_metrics``."""

    def began(self, channel: str, consumer: str, waited: float | None) -> None:
        """A run begins, of a message that was on the bus for ``waited`` seconds, if known."""

    def ended(self, channel: str, consumer: str, outcome: Outcome, seconds: float) -> None:
        """It has ended."""

    def again(self, channel: str, consumer: str) -> None:
        """Its message will be tried again."""

    def buried(self, channel: str, consumer: str) -> None:
        """Its message goes to the dead letters."""

    def unrouted(self, channel: str) -> None:
        """A message on a routed channel that no route matched."""


class Run:
    """One run, as a ``with`` block. This one is watched by nobody."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """It is over, with all that comes of it."""

    def ended(self, result: Result) -> None:
        """The consumer has ended."""

    def concluded(self, *, again: float | None, reason: str | None) -> None:
        """The message is tried ``again`` in so many seconds, or given up for this ``reason``."""


_UNSEEN = Run()


class Observer:
    """The one of a worker process, for all its threads; without a ``meter`` it counts nothing."""

    def __init__(self) -> None:
        self.meter: Meter | None = None

    def run(
        self, delivery: Delivery, match: Match, waited: Callable[[Delivery], float | None]
    ) -> Run:
        """The run of this message that begins now; ``waited`` says how long it was on the bus."""
        if self.meter is None and not tracing.is_on():
            return _UNSEEN
        return _SeenRun(self.meter, delivery, match, waited(delivery))

    def unrouted(self, channel: str) -> None:
        """There is no consumer for a message on ``channel``."""
        if self.meter is not None:
            self.meter.unrouted(channel)


class _SeenRun(Run):
    __slots__ = ("_began", "_channel", "_consumer", "_is_over", "_meter", "_span", "_waited")

    def __init__(
        self, meter: Meter | None, delivery: Delivery, match: Match, waited: float | None
    ) -> None:
        self._meter = meter
        self._channel = delivery.channel
        self._consumer = _name_of(match.consumer)
        self._waited = waited
        self._is_over = False
        self._span = tracing.NOTHING
        if tracing.is_on():
            attributes = _attributes(delivery, self._consumer, waited)
            self._span = tracing.begin(
                f"{delivery.channel} process", "CONSUMER", attributes, parent=delivery.content
            )

    def __enter__(self) -> Self:
        self._span.__enter__()
        self._began = time.monotonic()
        if self._meter is not None:
            self._meter.began(self._channel, self._consumer, self._waited)
        return self

    def __exit__(self, *error: object) -> None:
        if not self._is_over:  # it was cut off: the worker ends
            self._count(Outcome.FAILED)
        self._span.__exit__(*error)

    def _count(self, outcome: Outcome) -> None:
        self._is_over = True
        if self._meter is not None:
            seconds = time.monotonic() - self._began
            self._meter.ended(self._channel, self._consumer, outcome, seconds)

    def ended(self, result: Result) -> None:
        self._count(result.outcome)
        self._span.set("channels_classic.outcome", result.outcome.value)
        if result.outcome is Outcome.FAILED and result.error is not None:
            self._span.failed(result.error)

    def concluded(self, *, again: float | None, reason: str | None) -> None:
        if again is not None:
            self._span.note("retry", delay_seconds=again)
            if self._meter is not None:
                self._meter.again(self._channel, self._consumer)
        elif reason is not None:
            self._span.note("dead letter", reason=reason)
            if self._meter is not None:
                self._meter.buried(self._channel, self._consumer)


_known_name = lru_cache(maxsize=1000)(name_that_thing)


def _name_of(consumer: Callable[..., Any]) -> str:
    try:
        return _known_name(consumer)
    except TypeError:  # one that has no hash
        return name_that_thing(consumer)


def _attributes(delivery: Delivery, consumer: str, waited: float | None) -> dict[str, Any]:
    """By the semantic conventions; anybody may have sent the message, with anything in it."""
    content = delivery.content
    attributes = {
        **tracing.messaging("process", delivery.channel),
        "code.function.name": consumer,
        "channels_classic.attempt": delivery.attempts + 1,
        "channels_classic.waited_seconds": waited,
        "channels_classic.request_id": _text(content, "request_id"),
        "url.path": _text(content, "path"),
    }
    if delivery.channel == "http.request":
        attributes["http.request.method"] = _text(content, "method")
    return attributes


def _text(content: dict[str, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None
