"""One message through one consumer: match, run, answer, outcome."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from channels_classic import origins
from channels_classic.conf import option
from channels_classic.exceptions import (
    ChannelSocketException,
    ConsumeLater,
    InvalidName,
    TimeLimitExceeded,
)
from channels_classic.layers.traffic import Content
from channels_classic.log import Sparingly, serving
from channels_classic.message import Message
from channels_classic.outbox import Outbox, holding
from channels_classic.policy import Outcome
from channels_classic.routing import check_routing
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.utils import name_that_thing

if TYPE_CHECKING:
    from channels_classic.routing import Router

logger = logging.getLogger("channels_classic.dispatch")
_say = Sparingly(logger)

_CONNECT = "websocket.connect"
#: An answer that has begun is cut short by it.
_ERROR = {
    "status": 500,
    "headers": [(b"Content-Type", b"text/plain")],
    "content": b"Internal Server Error",
}


class Match(NamedTuple):
    """The consumer that a message goes to, and the arguments its route captured."""

    consumer: Callable[..., Any]
    kwargs: dict[str, Any]

    @property
    def is_async(self) -> bool:
        """Whether the consumer runs on an event loop."""
        run = self.consumer
        if inspect.isfunction(run):
            return inspect.iscoroutinefunction(run)
        return inspect.iscoroutinefunction(run) or inspect.iscoroutinefunction(
            getattr(type(run), "__call__", None)  # noqa: B004 - an object may have an async one
        )


class Result(NamedTuple):
    """How a message fared: what its consumer sent, and the error that it ended with."""

    outcome: Outcome
    outbox: Outbox
    error: BaseException | None = None


def find(message: Message, router: Router) -> Match | None:
    """The match of ``message``; an error in a filter or a missing route is logged: None."""
    try:
        matched = router.match(message)
    except Exception:
        logger.exception("Could not match a message on %s: dropped", message.channel_name)
        return None
    if matched is None:
        logger.error(
            "No route matches a message on %s (path %r): dropped. %s",
            message.channel_name,
            message.get("path"),
            _tried(message, router),
        )
        return None
    return Match(*matched)


def _tried(message: Message, router: Router) -> str:
    """What there is in ROUTING instead of the route that is missing."""
    name, entries = message.channel_name or "", router.root.routing
    tried = [f"{each!r:.200}" for each in entries if name in each.channel_names()]
    if tried:
        return f"Tried, and their filters do not fit: {'; '.join(tried)}"
    return f"Routed channels: {', '.join(sorted(router.channels)) or 'none'}"


def dispatch(message: Message, router: Router, *, sender: Any = None) -> Result:
    """Run ``message`` through its consumer; returns the outcome and the sends held back.

    An error is logged, never raised. The caller flushes the sends; there are none when the
    consumer asked to be run later, as it will send them then.
    """
    with serving(message.get("request_id")):
        match = find(message, router)
        if match is None:
            return Result(Outcome.UNROUTED, Outbox())
        return run(message, match, sender=sender)


def run(
    message: Message,
    match: Match,
    *,
    sender: Any = None,
    limit: AbstractContextManager[Any] | None = None,
) -> Result:
    """``dispatch`` once the match is known; ``limit`` is put around the consumer alone."""
    with holding(message.get("reply_channel")) as outbox:
        consumer_started.send_robust(sender=sender, environ={})
        result = Result(Outcome.DONE, outbox)
        try:
            _admit(message)
            if limit is None:
                match.consumer(message, **match.kwargs)
            else:
                with limit:
                    match.consumer(message, **match.kwargs)
            _see_to_answer(message, match, outbox)
        except BaseException as error:  # not even SystemExit may end the worker
            result = _settle(error, message, match, outbox)
        finally:
            consumer_finished.send_robust(sender=sender)
    return result


async def run_async(
    message: Message, match: Match, *, sender: Any = None, time_limit: float | None = None
) -> Result:
    """``run`` for a consumer that is a coroutine function, on its event loop.

    After ``time_limit`` seconds it is cancelled.
    """
    with holding(message.get("reply_channel")) as outbox:
        await consumer_started.asend_robust(sender=sender, environ={})
        result = Result(Outcome.DONE, outbox)
        try:
            _admit(message)
            await _limited(message, match, time_limit)
            _see_to_answer(message, match, outbox)
        except BaseException as error:  # SystemExit would end the loop of all the others
            if _is_cancelled(error):
                raise
            result = _settle(error, message, match, outbox)
        finally:
            await consumer_finished.asend_robust(sender=sender)
    return result


async def _limited(message: Message, match: Match, time_limit: float | None) -> None:
    limit = asyncio.timeout(time_limit)
    try:
        async with limit:
            await match.consumer(message, **match.kwargs)
    except TimeoutError:
        if limit.expired():
            raise TimeLimitExceeded from None
        raise


def _is_cancelled(error: BaseException) -> bool:
    """Whether the task of the consumer was told to end; a consumer may raise the same itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _settle(error: BaseException, message: Message, match: Match, outbox: Outbox) -> Result:
    """What an exception of a consumer means."""
    if isinstance(error, ConsumeLater):
        outbox.discard()
        return Result(Outcome.LATER, outbox, error)
    if isinstance(error, ChannelSocketException):
        try:
            error.run(message)
        except BaseException as failure:
            error = failure
        else:
            return Result(Outcome.DONE, outbox)
    logger.error(
        "Error in the consumer %s of a message on %s: %r%s",
        name_that_thing(match.consumer),
        message.channel_name,
        error,
        _misfit(error, message, match),
        exc_info=error,
    )
    refuse(message, outbox)
    return Result(Outcome.FAILED, outbox, error)


def _misfit(error: BaseException, message: Message, match: Match) -> str:
    """Which route calls the consumer with what it does not take, if that is the error."""
    if not isinstance(error, TypeError) or message.channel_layer is None:
        return ""
    subject = f"consumer {name_that_thing(match.consumer)} "
    problems = check_routing(message.channel_layer.router)
    return "".join(f". The {each}" for each in problems if each.startswith(subject))


# Clients that wait for an answer ----------------------------------------------------------


def _admit(message: Message) -> None:
    """A page of another site may not open a WebSocket."""
    if message.channel_name == _CONNECT:
        origins.check(message)


def _see_to_answer(message: Message, match: Match, outbox: Outbox) -> None:
    """A socket whose consumer has ended without an answer stays in its handshake."""
    if message.channel_name != _CONNECT or outbox.answered or not message.reply_channel:
        return
    if option("IMPLICIT_ACCEPT", False):
        _answer(message, outbox, {"accept": True})
        return
    name = name_that_thing(match.consumer)
    text = (
        f"The consumer {name} of websocket.connect neither accepted nor closed the socket on "
        f"{message.get('path')!r:.200}, which now waits until others answer it or its handshake "
        'times out. Let the consumer send {"accept": True} to message.reply_channel, or have '
        'all such sockets accepted: CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True}'
    )
    _say(logging.WARNING, name, text)


def refuse(message: Message, outbox: Outbox) -> None:
    """Put into ``outbox`` what tells a waiting client that its message was given up."""
    if message.channel_name == "http.request":
        _answer(message, outbox, _ERROR)
    elif message.channel_name == _CONNECT and not outbox.answered:
        _answer(message, outbox, {"close": True})


def _answer(message: Message, outbox: Outbox, content: Content) -> None:
    with suppress(InvalidName):  # then nobody listens there
        if (channel := message.reply_channel) is not None:
            outbox.add(channel.channel_layer.channel_layer, channel.name, content)
