"""What one worker thread has in hand: messages not yet started, and answers not yet sent."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from channels_classic import outbox
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import Receiver
from channels_classic.layers.traffic import Delivery, Envelope, Reasons
from channels_classic.outbox import FLUSH_DEADLINE
from channels_classic.tally import Tally
from channels_classic.watch import TICK, TimeLimit, Watch

logger = logging.getLogger("channels_classic.worker")

#: How long one exchange waits for messages: also how soon an idle worker heeds ``stop()``.
WAIT = 1.0
#: The pause between attempts to deliver to a full channel, in seconds.
RETRY = 0.05
#: When a consumer has run for so many seconds, nothing goes on waiting for its end.
SLOW = 0.025
#: The pause after the bus was away when the watch wanted it, in seconds.
_PAUSE = 1.0


class Hand:
    """One thread's messages and answers, on their way from the bus and to it.

    The thread itself calls all but ``look``, which the watch calls. ``lock`` is held by whoever
    uses the receiver or the answers; a consumer runs without it.
    """

    def __init__(
        self, layer: BaseChannelLayer, receiver: Receiver, *, tally: Tally, watch: Watch
    ) -> None:
        self.receiver = receiver
        self.limit = TimeLimit(watch.wake)
        #: The message that the thread works on, and since when.
        self.current: Delivery | None = None
        self.began: float | None = None
        #: Its consumer, once that is known.
        self.consumer: Callable[..., Any] | None = None
        self.tally = tally
        self.lock = threading.Lock()
        self._layer = layer
        self._watch = watch
        self._unstarted: deque[Delivery] = deque()
        self._done: list[Delivery] = []
        self._sends: list[Envelope] = []
        self._to_bury: list[tuple[Delivery, Reasons]] = []
        self._to_return: list[Delivery] = []
        self._full_since: float | None = None
        self._not_before = 0.0

    # From the bus ---------------------------------------------------------------------

    def exchange(self, limit: int) -> None:
        """Put the answers on the bus, and wait for up to ``limit`` messages of each channel.

        Raises ``LayerUnavailable``.
        """
        if self._to_bury or self._to_return:
            self.settle()
        with self.lock:
            timeout = RETRY if self._full_since else WAIT
            try:
                exchange = self.receiver.exchange(
                    done=self._done, sends=self._sends, limit=limit, timeout=timeout
                )
            except LayerUnavailable as error:
                self._sends = self.doubtless(self._sends, error)
                raise
            self._done, self._sends = [], self._kept(exchange.refused)
            self._unstarted.extend(exchange.deliveries)
        if len(exchange.deliveries) > 1 or self._sends:
            self._watch.wake()
        self.tally.flush()

    def start(self) -> Delivery | None:
        """The next message to work on; None when there is none left."""
        self.began = time.monotonic()  # first, so that the watch sees the message here or there
        try:
            delivery = self._unstarted.popleft()
        except IndexError:
            self.began = None
            return None
        self.consumer = None
        self.current = delivery
        return self._alone(delivery) if delivery.crashes else delivery

    def _alone(self, delivery: Delivery) -> Delivery | None:
        """A message that may end this process, once there is nothing that would go with it."""
        with self.lock:
            self._put_aside()
            if self._settle():
                return delivery
            self._to_return.append(delivery)  # its time comes when the bus is back
        self.current = self.began = None
        return None

    @property
    def has_more(self) -> bool:
        """Whether there are messages not yet started."""
        return bool(self._unstarted)

    # To the bus -----------------------------------------------------------------------

    def finish(self, done: Delivery, sends: Sequence[Envelope] = ()) -> None:
        """The message in hand is dealt with; ``sends`` go with its acknowledgement."""
        with self.lock:
            self._done.append(done)
            self._sends += sends
        self.current = None

    def bury(self, delivery: Delivery, reasons: Reasons, sends: Sequence[Envelope] = ()) -> None:
        """The message in hand goes to the dead letters, behind ``sends``."""
        with self.lock:
            self._sends += sends
            self._to_bury.append((delivery, reasons))
        self.current = None
        self.settle()

    def hand_over(self) -> None:
        """Somebody else sees to the message in hand from now on."""
        self.current = None

    def acknowledge(self, delivery: Delivery) -> Delivery:
        """Let the lane of the message in hand go on at once; it has none from now on."""
        with self.lock:
            self._done.append(delivery)
            self._settle()
        self.current = delivery._replace(lane="")
        return self.current

    def settle(self) -> bool:
        """Put the answers on the bus now; whether that was possible."""
        with self.lock:
            return self._settle()

    def give_back(self) -> None:
        """Give the messages that were not started to other workers."""
        with self.lock:
            self._put_aside()
            self._settle()

    def leave(self) -> None:
        """Put the last answers on the bus and go."""
        end = time.monotonic() + FLUSH_DEADLINE
        while not (self.settle() and self._is_empty()) and time.monotonic() < end:
            time.sleep(RETRY)
        if self._sends:
            outbox.give_up(self._layer, self._sends, waited=FLUSH_DEADLINE)
        self.tally.flush(everything=True)
        try:
            self.receiver.close()
        except LayerUnavailable as error:
            logger.error("Could not leave the bus: %s", error)

    def _is_empty(self) -> bool:
        return not (self._done or self._sends or self._to_bury or self._to_return)

    # The watch ------------------------------------------------------------------------

    def look(self, now: float) -> float | None:
        """Keep the time limit; give others what waits behind a slow consumer.

        Returns the seconds until the next look, None when there is nothing to wait for.
        """
        due = self.limit.look(now)
        began = self.began
        # The first of what was taken is about to start: whoever rests now would oversleep it.
        waits = self._unstarted or self._to_return
        if not waits and (began is None or not (self._done or self._sends)):
            return due  # nothing waits for the end of a consumer
        if began is not None and now - began >= SLOW and now >= self._not_before:
            self._relieve(now)
        return TICK

    def _relieve(self, now: float) -> None:
        if not self.lock.acquire(blocking=False):
            return  # the consumer has just ended
        try:
            self._put_aside()
            if not self._settle():
                self._not_before = now + _PAUSE
        finally:
            self.lock.release()

    # With the lock held -----------------------------------------------------------------

    def _put_aside(self) -> None:
        """No longer start what has not been started."""
        while self._unstarted:
            try:
                self._to_return.append(self._unstarted.popleft())
            except IndexError:  # the other thread was faster
                return

    def _settle(self) -> bool:
        try:
            if self._done or self._sends:
                self._answer()
            while self._to_bury:
                self._bury_one()
            if self._to_return:
                self._return()
        except LayerUnavailable:
            return False
        return True

    def _answer(self) -> None:
        try:
            refused = self.receiver.settle(self._done, self._sends)
        except LayerUnavailable as error:
            self._sends = self.doubtless(self._sends, error)
            raise
        self._done, self._sends = [], self._kept(refused)

    def _bury_one(self) -> None:
        delivery, reasons = self._to_bury.pop(0)
        try:
            self._layer.bury(delivery, reasons)
        except LayerUnavailable:
            self._to_bury.insert(0, (delivery, reasons))
            raise
        self._done.append(delivery._replace(lane=""))  # so that the receiver lets go of it, too

    def _return(self) -> None:
        deliveries, self._to_return = self._to_return, []
        try:
            self.receiver.give_back(deliveries)
        except LayerUnavailable:
            self._to_return = deliveries
            raise

    def _kept(self, refused: list[Envelope]) -> list[Envelope]:
        """The refused sends to try again, or none once they have been refused for too long."""
        if not refused:
            self._full_since = None
            return []
        now = time.monotonic()
        self._full_since = self._full_since or now
        if now - self._full_since < FLUSH_DEADLINE:
            return refused
        outbox.give_up(self._layer, refused, waited=now - self._full_since)
        self._full_since = None
        return []

    def doubtless(self, sends: list[Envelope], error: LayerUnavailable) -> list[Envelope]:
        """Those of ``sends`` to make again: what may have been carried out is not made twice.

        Messages that are tried again are: twice is better than never. To acknowledge twice is
        harmless.
        """
        if not error.in_doubt:
            return sends
        again = [envelope for envelope in sends if envelope.attempts]
        lost = [envelope for envelope in sends if not envelope.attempts]
        for name, number in outbox.by_channel(lost).items():
            self._layer.note(name, Counter.IN_DOUBT, number, detail=str(error))
            self.tally.add(name, Counter.IN_DOUBT, number)
        return again
