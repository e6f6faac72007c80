"""Due: sends the delayed messages whose time has come."""

from __future__ import annotations

import logging
import threading

from django.db import Error, connections

from channels_classic.backoff import Backoff
from channels_classic.delay.models import DelayedMessage
from channels_classic.delay.outage import Outage
from channels_classic.exceptions import ChannelsError, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter

logger = logging.getLogger("channels_classic.delay")

#: How many messages are read from the database at once.
BATCH = 100


class Due:
    """Looks into the database every ``pause`` seconds, until ``stopping`` is set.

    Any number of them may run: each message is sent by one. When it is not known whether a send
    was carried out, it is not made again: that is counted and logged.
    """

    def __init__(self, layer: BaseChannelLayer, *, pause: float, stopping: threading.Event) -> None:
        self._layer = layer
        self._pause = pause
        self._stopping = stopping
        self._database = Outage("Delayed messages are not sent")
        self._bus = Backoff(logger, "Delayed messages are not sent")
        self._sent: list[DelayedMessage] = []

    def run(self) -> None:
        """Send what is due, for as long as it takes."""
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self.turn())
        finally:
            connections.close_all()  # those of this thread

    def turn(self) -> float:
        """Send all that is due now; how many seconds to wait before the next look."""
        try:
            self._delete_sent()
            self._send_all()
        except LayerUnavailable as error:
            return self._bus.failed(error)
        except Error as error:
            return self._database.failed(error)
        except Exception:  # a mistake of ours must not end it
            logger.exception("Error while sending delayed messages")
        return self._pause

    def _send_all(self) -> None:
        while True:
            found = list(DelayedMessage.objects.is_due()[:BATCH])
            self._database.worked()
            for message in found:
                if self._stopping.is_set():
                    return
                if message.claim():
                    self._send(message)
                    self._delete_sent()
            if len(found) < BATCH:
                return

    def _send(self, message: DelayedMessage) -> None:
        try:
            if message.put_on(self._layer):
                self._sent.append(message)
            self._bus.worked()
        except LayerUnavailable as error:
            if error.in_doubt:
                self._give_up(message, Counter.IN_DOUBT, error)
            else:
                message.unclaim()
            raise
        except ChannelsError as error:  # the layer was another when it was stored
            self._give_up(message, Counter.FAILED, error)

    def _give_up(self, message: DelayedMessage, counter: Counter, error: Exception) -> None:
        logger.error("A delayed message for %s is dropped: %s", message.channel_name, error)
        self._sent.append(message)
        self._layer.count("asgi.delay", counter)

    def _delete_sent(self) -> None:
        """What was sent must not be sent again, even if the database went away in between."""
        while self._sent:
            self._sent[0].delete()
            del self._sent[0]
