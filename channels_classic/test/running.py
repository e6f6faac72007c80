"""Messages through their consumers as in a worker, with their errors raised in the test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.db import close_old_connections

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.dispatch import Match, Result, refuse, run, run_async
from channels_classic.exceptions import ChannelFull, ConsumeLater
from channels_classic.message import Message
from channels_classic.outbox import Outbox, by_channel
from channels_classic.policy import MESSAGE_RETRIES, Next, Outcome, Policy, decide, policy_of
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.test import commits
from channels_classic.test.recording import RecordingLayer
from channels_classic.utils import name_that_thing
from channels_classic.watch import TimeLimit, Watch

_AROUND = (consumer_started, consumer_finished)
#: How many messages ``process_all`` runs before it takes them for endless.
LIMIT = 1000


def match_of(message: Message) -> Match | None:
    """The consumer of ``message``; unlike in a worker, an error in a filter is raised."""
    if message.channel_layer is None:
        return None
    matched = message.channel_layer.router.match(message)
    return None if matched is None else Match(*matched)


def consume(message: Message, match: Match, *, sender: Any = None) -> Any:
    """Run ``message`` as a worker does, and put what it sends on the bus; what it returned.

    A consumer that asks to be run later is run again at once, as often as a worker would. Raises
    what the consumer raised; and ``ChannelFull`` for a send that nobody makes room for.
    """
    policy = policy_of(match.consumer)
    attempts = 0
    while True:
        message.__doomed__ = attempts + 1 >= policy.tries(MESSAGE_RETRIES)
        returned, result = _run(message, match, policy, sender)
        decision = decide(
            policy, result.outcome, attempts=attempts, message_retries=MESSAGE_RETRIES
        )
        if decision.next is not Next.AGAIN or result.outcome is not Outcome.LATER:
            return _conclude(message, result, decision.next, returned)
        attempts += 1
        again = {**message.content, "__retries__": attempts}
        message = Message(again, message.channel_name, message.channel_layer)


def _conclude(message: Message, result: Result, following: Next, returned: list[Any]) -> Any:
    if following is Next.AGAIN:
        result.outbox.discard()  # a worker would run it again, and send then
    elif result.outcome is Outcome.LATER:
        refuse(message, result.outbox)
    _put_on_bus(result.outbox)
    if result.error is None:
        return returned[0] if returned else None
    if isinstance(result.error, ConsumeLater):
        result.error.add_note(
            f"The consumer of {message.channel_name} asked to be run later each time it ran: "
            "a worker would give its message up now."
        )
    raise result.error


def _put_on_bus(outbox: Outbox) -> None:
    """At once: a worker waits for room on a full channel, but nobody else reads in a test."""
    while outbox.sends:
        layer = outbox.sends[0][0]
        if refused := layer.deliver(outbox.take(layer)):
            raise ChannelFull(
                f"full: {', '.join(by_channel(refused))}. A worker would wait for room and then "
                "drop the send: receive or consume what is there, or raise the capacity"
            )


@contextmanager
def _connections_kept() -> Iterator[None]:
    """The test itself uses the database connection: a worker would close one that is past its age.

    As the test client of Django does around each request.
    """
    cut = [each for each in _AROUND if each.disconnect(close_old_connections)]
    try:
        yield
    finally:
        for signal in cut:
            signal.connect(close_old_connections)


@_connections_kept()
def _run(message: Message, match: Match, policy: Policy, sender: Any) -> tuple[list[Any], Result]:
    """One run; what the consumer returned is in a list, empty when it raised."""
    returned: list[Any] = []
    if match.is_async:
        watched = match._replace(consumer=_keep_async(match, returned))
        result = async_to_sync(run_async)(
            message, watched, sender=sender, time_limit=policy.time_limit
        )
        return returned, result
    watched = match._replace(consumer=_keep(match, returned))
    if policy.time_limit is None:
        return returned, run(message, watched, sender=sender)
    with _limited(policy.time_limit) as limit:
        return returned, run(message, watched, sender=sender, limit=limit)


@contextmanager
def _limited(seconds: float) -> Iterator[TimeLimit]:
    with Watch() as watch:
        limit = TimeLimit(watch.wake)
        watch.watched.append(limit)
        yield limit.of(seconds)


def _keep(match: Match, returned: list[Any]) -> Any:
    """The consumer, which also keeps what it returned, and whose transactions are committed."""

    def call(message: Message, **kwargs: Any) -> None:
        try:
            returned.append(match.consumer(message, **kwargs))
        finally:
            commits.make_sends()

    return _named(call, match)


def _keep_async(match: Match, returned: list[Any]) -> Any:
    async def call(message: Message, **kwargs: Any) -> None:
        try:
            returned.append(await match.consumer(message, **kwargs))
        finally:
            await sync_to_async(commits.make_sends)()

    return _named(call, match)


def _named(call: Any, match: Match) -> Any:
    """``call`` under the name of the consumer, for logs."""
    call.__module__, call.__qualname__ = "", name_that_thing(match.consumer)
    return call


# All that waits ---------------------------------------------------------------------------


def process_all(
    aliases: Iterable[str], *, delayed: bool = False, limit: int = LIMIT, sender: Any = None
) -> int:
    """Run what waits on the routed channels of these layers until nothing does; how many ran.

    With ``delayed``, delayed messages are run as well, as if their time had come. Raises what a
    consumer raises; ``AssertionError`` for a message that no route matches, and when after
    ``limit`` messages there are still more.
    """
    layers = [channel_layers[alias] for alias in aliases]
    number = 0
    while True:
        before = number
        for message in _one_of_each(layers):
            number += 1
            if number > limit:
                raise AssertionError(
                    f"After {limit} messages there is still one on {message.channel_name}: do its "
                    "consumers send to each other for ever? If not, raise the limit"
                )
            _consume_routed(message, sender)
        if number == before and not (delayed and _move_time(layers)):
            return number


def _one_of_each(layers: Iterable[ChannelLayerWrapper]) -> Iterator[Message]:
    """One message of each channel that has one: a busy one leaves the others their turn."""
    commits.make_sends()
    for layer in layers:
        for name in sorted(layer.router.channels):
            channel, content = layer.receive([name])
            if content is not None:
                yield Message(content, channel, layer)


def _consume_routed(message: Message, sender: Any) -> None:
    match = match_of(message)
    if match is None:
        raise AssertionError(no_consumer(message))
    consume(message, match, sender=sender)


def no_consumer(message: Message) -> str:
    """Says that no route matches ``message``, and which there are."""
    layer = message.channel_layer
    routed = ", ".join(sorted(layer.router.channels)) if layer else ""
    return f"No route matches {message!r} (path {message.get('path')!r}). Routed: {routed}"


def _move_time(layers: Iterable[ChannelLayerWrapper]) -> bool:
    """To when the next delayed message of each layer is due; False when there is none."""
    recording = [each.channel_layer for each in layers]
    return any([each.next_due() for each in recording if isinstance(each, RecordingLayer)])  # noqa: C419 - each
