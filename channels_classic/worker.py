"""Worker and WorkerGroup: take messages off the bus, dispatch them, put the answers on it."""

from __future__ import annotations

import fnmatch
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from channels_classic.async_runner import AsyncRunner
from channels_classic.attempt import Attempts
from channels_classic.backoff import Backoff
from channels_classic.beat import TTL, Beat
from channels_classic.duty import Duty, Rounds
from channels_classic.exceptions import LayerUnavailable
from channels_classic.hands import Hand
from channels_classic.layers.names import random_letters
from channels_classic.message import Message
from channels_classic.observer import Observer
from channels_classic.pace import Pace
from channels_classic.policy import MESSAGE_RETRIES
from channels_classic.signals import worker_beat, worker_ready
from channels_classic.stopping import on_stop
from channels_classic.tally import Tally
from channels_classic.watch import Watch

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

logger = logging.getLogger("channels_classic.worker")

#: Answers wait for the rest of a batch no longer than this, in seconds.
HOLD = 0.01


class Worker:
    """Takes the messages of its channels one after another and runs their consumers.

    ``callback(channel, message)`` is called before each consumer. A message whose consumer raises
    ``ConsumeLater`` is run again up to ``message_retries`` times, with growing pauses, and then
    goes to the dead letters; see ``policy.consumer`` for consumers that want more.
    ``only_channels`` and ``exclude_channels`` are globs. With ``signal_handlers``, SIGTERM and
    SIGINT stop the worker after the message in hand, and a second one at once.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper | None,
        callback: Callable[[str, Message], None] | None = None,
        message_retries: int = MESSAGE_RETRIES,
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
        #: Called once servers can know that there is this worker.
        self.on_announced: Callable[[], None] = _nothing
        self._stop = threading.Event()
        self._pace = Pace()
        self._watch = Watch()
        self.runner = AsyncRunner()
        self._duty = Duty(self.runner)
        self.observer = Observer()
        #: Of this process: what dead letters and the bus know it by.
        self.name = worker_name()

    @property
    def _layer(self) -> ChannelLayerWrapper:
        if self.channel_layer is None:
            raise ValueError("this worker was made without a channel layer")
        return self.channel_layer

    # Starting and stopping ------------------------------------------------------------

    @property
    def termed(self) -> bool:
        """Whether the worker has been asked to stop."""
        return self._stop.is_set()

    @termed.setter
    def termed(self, termed: bool) -> None:
        if termed:
            self.stop()
        else:
            self._stop.clear()

    def stop(self) -> None:
        """Ask the worker to end once the message in hand is finished."""
        self._stop.set()

    def install_signal_handler(self) -> None:
        """Have SIGTERM and SIGINT call ``sigterm_handler`` from now on; ``run`` needs it not."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.sigterm_handler)

    def sigterm_handler(self, signo: int, stack_frame: object) -> None:
        """What the first SIGTERM or SIGINT does: ``stop``. A subclass may do more."""
        self.stop()

    def _stop_by_signal(self) -> None:
        self.sigterm_handler(signal.SIGTERM, None)

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
        with on_stop(self._stop_by_signal, wanted=self.signal_handlers), self._alive():
            self._loop()

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """While the block runs the bus knows of this worker, and its consumers are looked after."""
        beat = Beat(self._layer, self.channels(), worker=self.name)
        with beat, self._watch, Rounds(self._tell):
            self.on_announced()
            yield
            self.runner.close(last=self._layer.channel_layer.close_async)
        with suppress(LayerUnavailable):  # then the last report ends by itself
            self._layer.channel_layer.ledger.report(self.name, {}, ttl=0)

    def _tell(self) -> None:
        """Report what this process does, and let others do what is due once a second.

        What a thread has counted does not wait until its long consumer, or its long wait, ends.
        """
        for hand in list(self._duty.hands):
            hand.tally.flush()
        report = self._duty.report(self.channels())
        with suppress(LayerUnavailable):  # the loop says so; receivers may have to do with others
            self._layer.channel_layer.ledger.report(self.name, report, ttl=TTL)
        worker_beat.send_robust(sender=self, layer=self._layer)

    # The loop -------------------------------------------------------------------------

    def _loop(self) -> None:
        raw_layer = self._layer.channel_layer
        receiver = raw_layer.receiver(self.channels(), worker=self.name)
        hand = Hand(raw_layer, receiver, tally=Tally(raw_layer), watch=self._watch)
        attempts = self._attempts(hand)
        backoff = Backoff(logger, "This worker gets no messages")
        self._watch.watched.append(hand)
        self._duty.hands.append(hand)
        while not self.termed:
            try:
                hand.exchange(self._pace.limit)
                backoff.worked()
                self._work_through(hand, attempts)
            except LayerUnavailable as error:
                self._stop.wait(backoff.failed(error))
            except Exception:  # a mistake of ours or of a layer's: say so and go on
                logger.exception("Error in the worker's loop")
                self._stop.wait(1)
        hand.give_back()
        hand.leave()

    def _attempts(self, hand: Hand) -> Attempts:
        return Attempts(
            self._layer,
            hand,
            self.runner,
            self._pace,
            self._stop,
            worker=self.name,
            sender=type(self),
            observer=self.observer,
            message_retries=self.message_retries,
            callback=self.callback,
        )

    def _work_through(self, hand: Hand, attempts: Attempts) -> None:
        """Run the consumers of what is in hand, until asked to stop."""
        began = time.monotonic()
        while not self.termed and (delivery := hand.start()) is not None:
            self.in_job = True
            try:
                attempts.take(delivery)
            finally:
                self.in_job = False
            if hand.has_more and time.monotonic() - began > HOLD:
                hand.settle()
                began = time.monotonic()


class WorkerGroup(Worker):
    """``n_threads`` workers in one process: this one, and the others on threads of their own.

    The other arguments are those of ``Worker``. All stop together.
    """

    def __init__(self, *args: Any, n_threads: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        count = (os.cpu_count() or 1) if n_threads is None else n_threads
        if count < 1:
            raise ValueError(f"n_threads must be at least 1, not {count}")
        self._duty.threads = count
        self.workers = [Worker(*args, **kwargs) for _ in range(count - 1)]
        for worker in self.workers:
            worker.signal_handlers = False
            worker._stop = self._stop
            worker._watch = self._watch
            worker._duty = self._duty
            worker.runner = self.runner
            worker.observer = self.observer
            worker.name = self.name

    def ready(self) -> None:
        for worker in (self, *self.workers):
            Worker.ready(worker)

    def run(self) -> None:
        threads = [
            threading.Thread(target=worker._loop, name=f"worker {number}", daemon=True)
            for number, worker in enumerate(self.workers, 2)
        ]
        with on_stop(self._stop_by_signal, wanted=self.signal_handlers), self._alive():
            for thread in threads:
                thread.start()
            self._loop()
            for thread in threads:
                thread.join()


def _nothing() -> None:
    """For those who need not know."""


def worker_name() -> str:
    """A name for a worker process that no other has: it says where it runs."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:30]
    return f"{host}-{os.getpid()}-{random_letters(8)}"


def _matches(channel: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(channel, each) for each in globs)
