"""One attempt: a message through its consumer, and what goes on the bus afterwards."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from channels_classic import outbox
from channels_classic.async_runner import AsyncRunner, Running
from channels_classic.backoff import Backoff
from channels_classic.dispatch import Match, Result, find, refuse, run, run_async
from channels_classic.exceptions import ChannelsError, LayerUnavailable
from channels_classic.hands import WAIT, Hand
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.traffic import Content, Delivery, Envelope, Reasons
from channels_classic.log import serving
from channels_classic.message import Message
from channels_classic.observer import Observer, Run
from channels_classic.outbox import Outbox
from channels_classic.pace import Pace
from channels_classic.policy import MESSAGE_RETRIES, Next, Outcome, Policy, decide, policy_of

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

logger = logging.getLogger("channels_classic.worker")

#: What is kept of a traceback, in characters; its end says most.
_LONGEST_TRACEBACK = 20_000
_RETRIES = "__retries__"


class Verdict(NamedTuple):
    """What one run comes to."""

    #: What is acknowledged: with no lane when the message is tried again, as that goes on waiting.
    done: Delivery
    sends: list[Envelope]
    #: Why the message goes to the dead letters, if it does.
    reasons: Reasons | None = None
    #: In how many seconds it is tried again, if it is.
    again: float | None = None


@dataclass
class Attempts:
    """Takes messages through their consumers, on one worker thread and on the event loop."""

    layer: ChannelLayerWrapper
    hand: Hand
    runner: AsyncRunner
    pace: Pace
    stopping: threading.Event
    #: The name of this process in dead letters, and who sends the signals around consumers.
    worker: str
    sender: Any
    observer: Observer
    message_retries: int = MESSAGE_RETRIES
    callback: Callable[[str, Message], None] | None = None

    def __post_init__(self) -> None:
        self._raw_layer: BaseChannelLayer = self.layer.channel_layer

    def take(self, delivery: Delivery) -> None:
        """Work on one message; a mistake around its consumer must not cost the others."""
        try:
            with serving(delivery.content.get("request_id")):
                self._take(delivery)
        except Exception as error:
            logger.exception("Error around a message on %s", delivery.channel)
            if self.hand.current is not None:
                self._conclude(self._given_up(self.hand.current, error))

    def _take(self, delivery: Delivery) -> None:
        message = Message(delivery.content, delivery.channel, self.layer)
        if delivery.attempts:
            message[_RETRIES] = delivery.attempts
        match = find(message, self.layer.router)
        if match is None:
            self.hand.tally.add(delivery.channel, Counter.UNROUTED)
            self.observer.unrouted(delivery.channel)
            self.hand.tally.complete(delivery.channel)
            self.hand.finish(delivery)
            return
        self.hand.consumer = match.consumer
        policy = policy_of(match.consumer)
        message.__doomed__ = delivery.attempts + 1 >= policy.tries(self.message_retries)
        if self.callback:
            self.callback(delivery.channel, message)
        if delivery.lane and not policy.ordering:
            delivery = self.hand.acknowledge(delivery)
        if match.is_async:
            self._start(delivery, message, match, policy)
        else:
            self._run(delivery, message, match, policy)

    def _observed(self, delivery: Delivery, match: Match) -> Run:
        return self.observer.run(delivery, match, self.hand.receiver.waited)

    # On the worker thread ---------------------------------------------------------------

    def _run(self, delivery: Delivery, message: Message, match: Match, policy: Policy) -> None:
        limit = None if policy.time_limit is None else self.hand.limit.of(policy.time_limit)
        began = time.monotonic()
        with self._observed(delivery, match) as seen:
            result = run(message, match, sender=self.sender, limit=limit)
            seen.ended(result)
            self.hand.tally.complete(delivery.channel)
            self.pace.took(time.monotonic() - began)
            if result.outcome is Outcome.DONE:
                self.hand.finish(delivery, result.outbox.take(self._raw_layer))
            else:
                self._conclude(self._verdict(result, delivery, message, policy, seen))
        if result.outbox.sends:
            self._flush_others(result.outbox)

    def _conclude(self, verdict: Verdict) -> None:
        if verdict.reasons is None:
            self.hand.finish(verdict.done, verdict.sends)
        else:
            self.hand.bury(verdict.done, verdict.reasons, verdict.sends)

    def _flush_others(self, box: Outbox) -> None:
        """Sends to layers that this worker does not serve."""
        try:
            box.flush()
        except LayerUnavailable as error:
            logger.error("Dropped sends to another channel layer: %s", error)

    # On the event loop ------------------------------------------------------------------

    def _start(self, delivery: Delivery, message: Message, match: Match, policy: Policy) -> None:
        future = self.runner.start(
            lambda: self._run_async(delivery, message, match, policy),
            Running(delivery, match.consumer, time.monotonic()),
        )
        self.hand.hand_over()
        while delivery.crashes and not self.stopping.is_set():  # what may end us runs alone
            if concurrent.futures.wait([future], timeout=WAIT).done:
                return

    async def _run_async(
        self, delivery: Delivery, message: Message, match: Match, policy: Policy
    ) -> None:
        with self._observed(delivery, match) as seen:
            result = await run_async(
                message, match, sender=self.sender, time_limit=policy.time_limit
            )
            seen.ended(result)
            self.hand.tally.complete(delivery.channel)
            verdict = self._verdict(result, delivery, message, policy, seen)
        refused = await self._put(verdict)
        await outbox.deliver_async(self._raw_layer, refused)
        await result.outbox.flush_async()

    async def _put(self, verdict: Verdict) -> list[Envelope]:
        """Put the answers on the bus, when it is away as soon as it is back; the refused ones."""
        done, sends, reasons, _ = verdict
        receiver, layer = self.hand.receiver, self._raw_layer
        if reasons is None:
            return await self._insist(lambda sends: receiver.settle_async(done, sends), sends)
        refused = await self._insist(layer.deliver_async, sends)
        await self._insist(lambda _: asyncio.to_thread(_bury, layer, done, reasons), [])
        no_lane = done._replace(lane="")
        await self._insist(lambda sends: receiver.settle_async(no_lane, sends), [])
        return refused

    async def _insist(
        self,
        call: Callable[[list[Envelope]], Awaitable[list[Envelope]]],
        sends: list[Envelope],
    ) -> list[Envelope]:
        backoff = Backoff(logger, "The answer of an async consumer waits")
        while True:
            try:
                return await call(sends)
            except LayerUnavailable as error:
                if self.stopping.is_set():
                    raise
                sends = self.hand.doubtless(sends, error)
                await asyncio.sleep(backoff.failed(error))

    # What it comes to -------------------------------------------------------------------

    def _verdict(
        self, result: Result, delivery: Delivery, message: Message, policy: Policy, seen: Run
    ) -> Verdict:
        verdict = self._judged(result, delivery, message, policy)
        seen.concluded(
            again=verdict.again, reason=verdict.reasons.error if verdict.reasons else None
        )
        return verdict

    def _judged(
        self, result: Result, delivery: Delivery, message: Message, policy: Policy
    ) -> Verdict:
        if result.outcome is Outcome.DONE:
            return Verdict(delivery, result.outbox.take(self._raw_layer))
        if result.outcome is Outcome.FAILED:
            self.hand.tally.add(delivery.channel, Counter.FAILED)
        decision = decide(
            policy,
            result.outcome,
            attempts=delivery.attempts,
            message_retries=self.message_retries,
        )
        if decision.next is Next.AGAIN:
            result.outbox.discard()
            return self._again(result, delivery, message, decision.delay)
        if result.outcome is Outcome.LATER:  # a failure has had its answer
            refuse(message, result.outbox)
        sends = result.outbox.take(self._raw_layer)
        if decision.next is Next.BURY and result.error is not None:
            return self._given_up(delivery, result.error, sends)
        return Verdict(delivery, sends)

    def _again(self, result: Result, delivery: Delivery, message: Message, delay: float) -> Verdict:
        """As it came after an error, and with what the consumer has put into it otherwise."""
        try:
            payload = delivery.payload
            if payload is None or result.outcome is Outcome.LATER:
                payload = self._encoded(message.content)
        except ChannelsError as error:
            logger.error("A message on %s cannot be run later: %s", delivery.channel, error)
            return self._given_up(delivery, error)
        self.hand.tally.add(delivery.channel, Counter.RETRIED)
        again = Envelope(
            delivery.channel,
            payload,
            lane=delivery.lane,
            delay=delay if self._raw_layer.later else 0,
            attempts=delivery.attempts + 1,
            crashes=delivery.crashes,
        )
        return Verdict(delivery._replace(lane=""), [again], again=again.delay)

    def _encoded(self, content: Content) -> Any:
        kept = {key: value for key, value in content.items() if key != _RETRIES}
        return self._raw_layer.encode(kept)

    def _given_up(
        self, delivery: Delivery, error: BaseException, sends: Sequence[Envelope] = ()
    ) -> Verdict:
        """To the dead letters, with what is known of the error."""
        line = traceback.format_exception_only(error)[-1].strip().partition("\n")[0][:500]
        trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
        return Verdict(delivery, list(sends), Reasons(line, trace, self.worker))


def _bury(layer: BaseChannelLayer, delivery: Delivery, reasons: Reasons) -> list[Envelope]:
    layer.bury(delivery, reasons)
    return []
