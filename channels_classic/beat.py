"""The beat of a worker process: it lives, and it sees to what dead workers left behind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.traffic import Delivery, Envelope, Pulse, Reasons
from channels_classic.message import Message
from channels_classic.policy import MOST_CRASHES, PLAIN, Next, Policy, after_crash, policy_of

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper

logger = logging.getLogger("channels_classic.worker")

#: Seconds between two beats, and between two when delayed messages are due.
INTERVAL, SHORTEST = 0.5, 0.02
#: How long one beat is good for, in seconds.
TTL = 6.0
#: A beat that comes so many seconds after the last one is late; one that goes through within
#: ``PROMPT`` seconds has met no trouble.
LATE, PROMPT = TTL / 2, 0.25
#: Seconds between two looks for the dead.
EVERY = 1.0


class Rhythm:
    """Whether beats come in time, by the times at which they went through.

    Whoever was late, or has only just begun, cannot tell the dead from those who had the same
    trouble: it waits for ``TTL`` seconds, in which the living beat.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._steady_since: float | None = None

    def beaten(self, now: float) -> None:
        """A beat has gone through."""
        if self._last is None or now - self._last > LATE:
            self._steady_since = now
        self._last = now

    def is_steady(self, now: float) -> bool:
        """Whether those who have not beaten by now may be taken for dead."""
        if self._last is None or self._steady_since is None or now - self._last > LATE:
            return False
        return now - self._steady_since >= TTL


class Beat:
    """Beats as long as its ``with`` block runs, whatever the worker's consumers do."""

    def __init__(
        self,
        layer: ChannelLayerWrapper,
        channels: list[str],
        *,
        worker: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._router = layer.router
        self._wrapper = layer
        self._layer = layer.channel_layer
        self._channels = channels
        self._worker = worker
        self._clock = clock
        self._rhythm = Rhythm()
        self._pause = INTERVAL
        self._recovered = 0.0
        self._lapsed: list[Delivery] = []
        self._lost: list[Delivery] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def __enter__(self) -> Self:
        self._pause = self.beat()  # before the first message: no server need say 503 any more
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            self._pause = self.beat()
        try:
            self._layer.withdraw(self._worker, self._channels)
        except LayerUnavailable:
            return  # the last beat ends by itself

    def beat(self) -> float:
        """Beat once, and see to what dead workers left; seconds until the next beat."""
        try:
            pulse = self._beat()
            self._see_to_lapsed()
        except LayerUnavailable:
            return INTERVAL  # the loop of the worker says so
        except Exception:  # a mistake in it must not end the beat
            logger.exception("Error in the beat of worker %s", self._worker)
            return INTERVAL
        due = INTERVAL if pulse.next_due is None else pulse.next_due
        return min(INTERVAL, max(SHORTEST, due))

    def _beat(self) -> Pulse:
        """Beat, and see to the dead in a second call: had it been in the first, and the bus had
        held that up, all the others would seem dead to it.
        """
        began = self._clock()
        pulse = self._once(recover=False)
        now = self._clock()
        in_time = now - began < PROMPT and self._rhythm.is_steady(now)
        if in_time and now - self._recovered >= EVERY:
            self._recovered = now
            found = self._once(recover=True).lapsed
            self._lapsed += [each for each in found if each not in (*self._lapsed, *self._lost)]
        return pulse

    def _once(self, *, recover: bool) -> Pulse:
        pulse = self._layer.beat(self._worker, self._channels, ttl=TTL, recover=recover)
        self._rhythm.beaten(self._clock())
        return pulse

    # What dead workers left -------------------------------------------------------------

    def _see_to_lapsed(self) -> None:
        """Each of the messages in our hands; when the bus goes away, the rest next time."""
        while self._lapsed:
            delivery = self._lapsed.pop(0)
            try:
                self._see_to(delivery)
            except LayerUnavailable:
                self._lapsed.insert(0, delivery)
                raise
            except Exception:  # in a filter of its route, perhaps
                logger.exception("Could not recover a message on %s", delivery.channel)
                self._lost.append(delivery)
        if self._lost:
            self._layer.lose(self._lost, Counter.LOST)
            self._lost = []

    def _see_to(self, delivery: Delivery) -> None:
        """Run it again, give it up or lose it, as its consumer asks for."""
        what = after_crash(self._policy(delivery), crashes=delivery.crashes)
        if what is Next.AGAIN:
            self._run_again(delivery)
        elif what is Next.BURY:
            self._layer.bury(delivery, Reasons(f"killed its worker {MOST_CRASHES} times"))
        else:
            self._lost.append(delivery)

    def _policy(self, delivery: Delivery) -> Policy:
        message = Message(delivery.content, delivery.channel, self._wrapper)
        matched = self._router.match(message)
        return PLAIN if matched is None else policy_of(matched[0])

    def _run_again(self, delivery: Delivery) -> None:
        """At once; its lane goes on waiting, so the acknowledgement gives no receipt."""
        payload = delivery.payload
        again = Envelope(
            delivery.channel,
            self._layer.encode(delivery.content) if payload is None else payload,
            lane=delivery.lane,
            attempts=delivery.attempts + 1,
            crashes=delivery.crashes + 1,
        )
        if self._layer.settle([delivery._replace(lane="")], [again]):
            self._layer.bury(delivery, Reasons("its worker died, and the channel is full"))
            return
        self._layer.note(delivery.channel, Counter.RECOVERED, detail="its worker died")
        self._layer.count(delivery.channel, Counter.RECOVERED)
