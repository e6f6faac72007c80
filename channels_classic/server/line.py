"""Line: the sends that wait for one channel, full or out of reach; first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from channels_classic.backoff import growing_pauses
from channels_classic.exceptions import ChannelFull, LayerUnavailable

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer
    from channels_classic.layers.traffic import Envelope

#: Sends that are tried at once, and the pauses between tries, in seconds.
BATCH = 100
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1


class Line:
    """One task tries for all who wait: thousands of connections cost no more tries than one."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._waiting: deque[tuple[Envelope, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        #: Why the last try failed, when the layer could not be reached.
        self.trouble: LayerUnavailable | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return self._task is None or self._task.done()

    async def wait(self, envelope: Envelope, seconds: float | None) -> None:
        """Return once ``envelope`` is on the bus, within ``seconds``; None is for ever.

        Raises ``ChannelFull``, or ``LayerUnavailable`` when the layer is out of reach or when
        the message may have gone.
        """
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((envelope, sent))
        if self.is_empty:
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(seconds):
                await sent
        except TimeoutError:
            if self.trouble is not None:
                raise LayerUnavailable(str(self.trouble)) from None
            raise ChannelFull(f"{envelope.name} is full: {ChannelFull.__doc__}") from None

    async def _run(self) -> None:
        pauses = growing_pauses(FIRST_PAUSE, LONGEST_PAUSE)
        while self._waiting:
            await asyncio.sleep(next(pauses))
            if await self._try_some():
                pauses = growing_pauses(FIRST_PAUSE, LONGEST_PAUSE)

    async def _try_some(self) -> bool:
        """Send the first who wait; whether any of them went."""
        size = min(BATCH, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(size)]
        batch = [(envelope, sent) for envelope, sent in taken if not sent.done()]  # others gave up
        if not batch:
            return True
        try:
            refused = await self._layer.deliver_async([envelope for envelope, _ in batch])
        except LayerUnavailable as error:
            self._keep(batch, error)
            return False
        except Exception as error:  # a mistake of ours or of a layer's: those who wait must hear
            _tell(batch, error)
            return False
        self.trouble = None
        kept = len(refused)  # a channel refuses from some message on: these are the last ones
        went = batch[: len(batch) - kept]
        self._waiting.extendleft(reversed(batch[len(went) :]))
        _tell(went, None)
        return bool(went)

    def _keep(
        self, batch: list[tuple[Envelope, asyncio.Future[None]]], error: LayerUnavailable
    ) -> None:
        """For the next try; but what may have gone is never sent twice."""
        if error.in_doubt:
            _tell(batch, error)
        else:
            self.trouble = error
            self._waiting.extendleft(reversed(batch))


def _tell(batch: list[tuple[Envelope, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, sent in batch:
        if sent.done():
            continue
        if error is None:
            sent.set_result(None)
        else:
            sent.set_exception(error)
