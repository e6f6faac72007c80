"""One message through one consumer: match, run, answer, outcome."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from channels_classic.exceptions import ChannelSocketException, ConsumeLater, TimeLimitExceeded
from channels_classic.message import Message
from channels_classic.outbox import Outbox, holding
from channels_classic.policy import Outcome
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.utils import name_that_thing

if TYPE_CHECKING:
    from channels_classic.routing import Router

logger = logging.getLogger("channels_classic.dispatch")

#: So that no client waits for an answer that will not come; an answer that has begun is cut short.
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
            "No route matches a message on %s (path %r): dropped. Routed channels: %s",
            message.channel_name,
            message.get("path"),
            ", ".join(sorted(router.channels)),
        )
        return None
    return Match(*matched)


def dispatch(message: Message, router: Router, *, sender: Any = None) -> Result:
    """Run ``message`` through its consumer; returns the outcome and the sends held back.

    An error is logged, never raised. The caller flushes the sends; there are none when the
    consumer asked to be run later, as it will send them then.
    """
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
    with holding() as outbox:
        consumer_started.send_robust(sender=sender, environ={})
        result = Result(Outcome.DONE, outbox)
        try:
            if limit is None:
                match.consumer(message, **match.kwargs)
            else:
                with limit:
                    match.consumer(message, **match.kwargs)
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
    with holding() as outbox:
        await consumer_started.asend_robust(sender=sender, environ={})
        result = Result(Outcome.DONE, outbox)
        try:
            await _limited(message, match, time_limit)
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
        "Error in the consumer %s of a message on %s: %r",
        name_that_thing(match.consumer),
        message.channel_name,
        error,
        exc_info=error,
    )
    if message.channel_name == "http.request" and message.reply_channel:
        outbox.add(
            message.reply_channel.channel_layer.channel_layer, message["reply_channel"], _ERROR
        )
    return Result(Outcome.FAILED, outbox, error)
