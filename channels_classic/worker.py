"""Worker and WorkerGroup: take messages off the bus, dispatch them, put the answers on it."""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from channels_classic import outbox
from channels_classic.async_runner import AsyncRunner
from channels_classic.backoff import Backoff
from channels_classic.beat import Beat
from channels_classic.dispatch import Match, Outcome, find, run, run_async
from channels_classic.exceptions import ChannelsError, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.ends import Receiver
from channels_classic.layers.traffic import Delivery, Envelope
from channels_classic.message import Message
from channels_classic.outbox import FLUSH_DEADLINE, Outbox
from channels_classic.pace import Pace
from channels_classic.signals import worker_ready
from channels_classic.stopping import on_stop

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

logger = logging.getLogger("channels_classic.worker")

#: How long one exchange waits for messages: also how soon an idle worker heeds ``stop()``.
WAIT = 1.0
#: Answers wait for the rest of a batch no longer than this, in seconds.
HOLD = 0.01
#: The pause between attempts to deliver to a full channel, in seconds.
RETRY = 0.05


class Worker:
    """Takes the messages of its channels one after another and runs their consumers.

    ``callback(channel, message)`` is called before each consumer. A message whose consumer raises
    ``ConsumeLater`` is run again up to ``message_retries`` times. ``only_channels`` and
    ``exclude_channels`` are globs. With ``signal_handlers``, SIGTERM and SIGINT stop the worker
    after the message in hand, and a second one at once.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper | None,
        callback: Callable[[str, Message], None] | None = None,
        message_retries: int = 10,
        signal_handlers: bool = True,
        only_channels: Sequence[str] | None = None,
        exclude_channels: Sequence[str] | None = None,
    ) -> None:
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.signal_handlers = signal_handlers
        self.only_channels = only_channels
        self.exclude_channels = exclude_channels
        self.in_job = False
        self._stop = threading.Event()
        self._pace = Pace()
        self._done: list[Delivery] = []
        self._sends: list[Envelope] = []
        self._full_since: float | None = None
        self.runner = AsyncRunner()
        self._receiver: Receiver

    @property
    def _layer(self) -> ChannelLayerWrapper:
        if self.channel_layer is None:
            raise ValueError("this worker was made without a channel layer")
        return self.channel_layer

    @property
    def _raw_layer(self) -> BaseChannelLayer:
        return self._layer.channel_layer

    # Starting and stopping ------------------------------------------------------------

    @property
    def termed(self) -> bool:
        """Whether the worker has been asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the worker to end once the message in hand is finished."""
        self._stop.set()

    def ready(self) -> None:
        """Tell the receivers of ``worker_ready`` that work begins."""
        worker_ready.send_robust(sender=self)

    def channels(self) -> list[str]:
        """The channels this worker reads: the routed ones, less those the filters drop."""
        return self.apply_channel_filters(sorted(self._layer.router.channels))

    def apply_channel_filters(self, channels: Iterable[str]) -> list[str]:
        """Those of ``channels`` that match one of the only and none of the exclude globs."""
        kept = list(channels)
        if self.only_channels:
            kept = [c for c in kept if _matches(c, self.only_channels)]
        if self.exclude_channels:
            kept = [c for c in kept if not _matches(c, self.exclude_channels)]
        return kept

    def run(self) -> None:
        """Work until asked to stop; nothing that a message or a consumer does ends it."""
        with on_stop(self.stop, wanted=self.signal_handlers), self._alive():
            self._loop()

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Servers know of this worker, and async consumers have a loop, while the block runs."""
        with Beat(self._layer, self.channels()):
            yield
            self.runner.close(last=self._raw_layer.close_async)

    # The loop -------------------------------------------------------------------------

    def _loop(self) -> None:
        receiver = self._receiver = self._raw_layer.receiver(self.channels())
        backoff = Backoff(logger, "This worker gets no messages")
        while not self.termed:
            try:
                deliveries = self._exchange()
                backoff.worked()
                self._work_through(deliveries)
            except LayerUnavailable as error:
                self._in_doubt(error)
                self._stop.wait(backoff.failed(error))
            except Exception:  # a mistake of ours or of a layer's: say so and go on
                logger.exception("Error in the worker's loop")
                self._stop.wait(1)
        self._leave(receiver)

    def _exchange(self) -> list[Delivery]:
        done, sends = self._done, self._sends
        timeout = RETRY if self._full_since else WAIT
        exchange = self._receiver.exchange(
            done=done, sends=sends, limit=self._pace.limit, timeout=timeout
        )
        self._done, self._sends = [], self._kept(exchange.refused)
        return exchange.deliveries

    def _kept(self, refused: list[Envelope]) -> list[Envelope]:
        """The refused sends to try again, or none once they have been refused for too long."""
        if not refused:
            self._full_since = None
            return []
        now = time.monotonic()
        self._full_since = self._full_since or now
        if now - self._full_since < FLUSH_DEADLINE:
            return refused
        outbox.log_refused(refused, now - self._full_since)
        self._full_since = None
        return []

    def _in_doubt(self, error: LayerUnavailable) -> None:
        """Sends that may have been carried out are not made twice; to acknowledge twice is fine."""
        if error.in_doubt and self._sends:
            logger.error("%d send(s) may be lost: %s", len(self._sends), error)
            self._sends = []

    def _work_through(self, deliveries: list[Delivery]) -> None:
        began = time.monotonic()
        for number, delivery in enumerate(deliveries):
            if self.termed:
                self._receiver.give_back(deliveries[number:])
                return
            self._attempt(delivery)
            if time.monotonic() - began > HOLD:
                self._settle()
                began = time.monotonic()

    def _settle(self) -> None:
        """Put the answers on the bus now: the rest of the batch may take its time."""
        try:
            refused = self._receiver.settle(self._done, self._sends)
        except LayerUnavailable as error:
            self._in_doubt(error)
        else:
            self._done, self._sends = [], self._kept(refused)

    def _leave(self, receiver: Receiver) -> None:
        """Put the last answers on the bus and go."""
        end = time.monotonic() + FLUSH_DEADLINE
        self._settle()
        while (self._sends or self._done) and time.monotonic() < end:
            time.sleep(RETRY)
            self._settle()
        try:
            receiver.close()
        except LayerUnavailable as error:
            logger.error("Could not leave the bus: %s", error)

    # One message ----------------------------------------------------------------------

    def _attempt(self, delivery: Delivery) -> None:
        """Take one message; a mistake around its consumer must not cost the others of its batch."""
        self.in_job = True
        try:
            self._take(delivery)
        except Exception:
            logger.exception("Error around a message on %s: dropped", delivery.channel)
            if not self._done or self._done[-1] is not delivery:
                self._done.append(delivery)
        finally:
            self.in_job = False

    def _take(self, delivery: Delivery) -> None:
        message = Message(delivery.content, delivery.channel, self._layer)
        if _retries(message) == self.message_retries:
            message.__doomed__ = True
        match = find(message, self._layer.router)
        if match is None:
            self._done.append(delivery)
            return
        if self.callback:
            self.callback(delivery.channel, message)
        if match.is_async:
            self.runner.start(lambda: self._run_async(delivery, message, match))
            return
        began = time.perf_counter()
        outcome, box = run(message, match, sender=type(self))
        self._pace.took(time.perf_counter() - began)
        self._done.append(delivery)
        self._sends += box.take(self._raw_layer)
        self._flush_others(box)
        if outcome is Outcome.LATER:
            self._sends += self._again(message)

    async def _run_async(self, delivery: Delivery, message: Message, match: Match) -> None:
        outcome, box = await run_async(message, match, sender=type(self))
        sends = box.take(self._raw_layer)
        if outcome is Outcome.LATER:
            sends += self._again(message)
        refused = await self._settle_async(delivery, sends)
        await outbox.deliver_async(self._raw_layer, refused)
        await box.flush_async()

    async def _settle_async(self, delivery: Delivery, sends: list[Envelope]) -> list[Envelope]:
        """Put the answers on the bus, when it is away as soon as it is back."""
        backoff = Backoff(logger, "The answer of an async consumer waits")
        while True:
            try:
                return await self._receiver.settle_async(delivery, sends)
            except LayerUnavailable as error:
                if error.in_doubt or self.termed:
                    raise
                await asyncio.sleep(backoff.failed(error))

    def _flush_others(self, box: Outbox) -> None:
        """Sends to layers that this worker does not serve."""
        try:
            box.flush()
        except LayerUnavailable as error:
            logger.error("Dropped sends to another channel layer: %s", error)

    def _again(self, message: Message) -> list[Envelope]:
        """The message once more, for the tail of its channel, unless it had all its tries."""
        tries = _retries(message) + 1
        if tries > self.message_retries:
            logger.warning(
                "A message on %s asked to be run later more than %d times: dropped",
                message.channel_name,
                self.message_retries,
            )
            return []
        content = {**message.content, "__retries__": tries}
        try:
            return [self._raw_layer.prepare(str(message.channel_name), content)]
        except ChannelsError as error:  # the consumer has put something into it
            logger.error(
                "A message on %s cannot be run later: %s Dropped.", message.channel_name, error
            )
            return []


class WorkerGroup(Worker):
    """``n_threads`` workers in one process: this one, and the others on threads of their own.

    The other arguments are those of ``Worker``. All stop together.
    """

    def __init__(self, *args: Any, n_threads: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        count = (os.cpu_count() or 1) if n_threads is None else n_threads
        if count < 1:
            raise ValueError(f"n_threads must be at least 1, not {count}")
        self.workers = [Worker(*args, **kwargs) for _ in range(count - 1)]
        for worker in self.workers:
            worker.signal_handlers = False
            worker._stop = self._stop
            worker.runner = self.runner

    def ready(self) -> None:
        for worker in (self, *self.workers):
            Worker.ready(worker)

    def run(self) -> None:
        threads = [
            threading.Thread(target=worker._loop, name=f"worker {number}", daemon=True)
            for number, worker in enumerate(self.workers, 2)
        ]
        with on_stop(self.stop, wanted=self.signal_handlers), self._alive():
            for thread in threads:
                thread.start()
            self._loop()
            for thread in threads:
                thread.join()


def _retries(message: Message) -> int:
    """How often the message was run; anybody may have sent it, with anything in it."""
    retries = message.get("__retries__")
    return retries if isinstance(retries, int) else 0


def _matches(channel: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(channel, each) for each in globs)
