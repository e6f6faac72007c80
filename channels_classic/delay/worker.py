"""Worker: stores what comes on ``asgi.delay`` in the database, and sends what is due."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from django.db import Error

from channels_classic import worker
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.delay.due import Due
from channels_classic.delay.models import check
from channels_classic.delay.outage import Outage
from channels_classic.exceptions import ChannelsError, ConsumeLater
from channels_classic.layers.counters import Counter
from channels_classic.layers.names import positive
from channels_classic.log import Sparingly
from channels_classic.message import Message
from channels_classic.policy import consumer
from channels_classic.routing import route
from channels_classic.stopping import on_stop

if TYPE_CHECKING:
    from channels_classic.delay.models import DelayedMessage

logger = logging.getLogger("channels_classic.delay")

#: The channel that it reads.
CHANNEL = "asgi.delay"


class Worker:
    """Takes messages off ``asgi.delay`` and sends each on when its time has come.

    Such a message is ``{"channel": name, "delay": milliseconds, "content": {…}}``. It is kept on
    the bus until it is in the database. A bad one is counted, logged and dropped; outages of the
    database and of the bus are waited for. Any number of workers may run.

    ``database_sleep_duration`` is how often the database is asked, in seconds. With
    ``signal_handlers``, SIGTERM and SIGINT stop the worker, and a second one at once.
    """

    def __init__(
        self,
        channel_layer: ChannelLayerWrapper,
        signal_handlers: bool = True,
        database_sleep_duration: float = 1,
    ) -> None:
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.database_sleep_duration = positive("database_sleep_duration", database_sleep_duration)
        self._layer = channel_layer.channel_layer
        self._outage = Outage(f"What comes on {CHANNEL} is not stored")
        self._say = Sparingly(logger)
        self._stop = threading.Event()
        routed = ChannelLayerWrapper(self._layer, "delay", [route(CHANNEL, self._store)])
        self._taker = worker.Worker(routed, signal_handlers=False)

    @property
    def termed(self) -> bool:
        """Whether the worker has been asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the worker to end once the message in hand is finished."""
        self._stop.set()
        self._taker.stop()

    def run(self) -> None:
        """Work until asked to stop."""
        due = Due(self._layer, pause=self.database_sleep_duration, stopping=self._stop)
        thread = threading.Thread(target=due.run, name="delayed messages", daemon=True)
        with on_stop(self.stop, wanted=self.signal_handlers):
            thread.start()
            self._taker.run()
            thread.join()

    @consumer
    def _store(self, message: Message) -> None:
        """The consumer of ``asgi.delay``."""
        try:
            delayed = check(message.content, self._layer)
        except (ChannelsError, ValueError) as error:
            self._layer.count(CHANNEL, Counter.FAILED)
            self._say(logging.ERROR, CHANNEL, f"A message on {CHANNEL} is dropped: {error}")
        else:
            self._save(delayed)

    def _save(self, delayed: DelayedMessage) -> None:
        """When the database is away, as soon as it is back; another worker's when we stop first."""
        while True:
            try:
                delayed.save()
                self._outage.worked()
                return
            except Error as error:
                if self._stop.wait(self._outage.failed(error)):
                    raise ConsumeLater from error
