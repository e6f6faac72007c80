"""A layer with routes and a worker, and what became of the messages."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.channel import Channel
from channels_classic.exceptions import (
    ChannelSocketException,
)
from channels_classic.worker import Worker, WorkerGroup

DEADLINE = 30
#: Channels of these tests: what consumers are told to do, and what they report.
WORK, REPORT = "work", "report"


def until(condition):
    """Return as soon as ``condition()`` is true; an error when that takes too long."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE} s"
        time.sleep(0.001)


class Site:
    """A layer with routes, and what became of the messages."""

    def __init__(self, layer, *routes, **options):
        self.layer = layer
        self.wrapper = ChannelLayerWrapper(layer, "default", list(routes))
        self.worker = Worker(self.wrapper, signal_handlers=False, **options)

    def send(self, channel=WORK, **content):
        self.layer.send(channel, content)

    def channel(self, name):
        return Channel(name, channel_layer=self.wrapper)

    def received(self, channel=REPORT):
        """The next message on ``channel``."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            _, content = self.layer.receive([channel], block=True)
            if content is not None:
                return content
        raise AssertionError(f"nothing came on {channel}")

    def pending(self, channel):
        return self.statistic(channel, "messages_pending")

    def statistic(self, channel, key):
        return self.layer.channel_statistics(channel)[key]

    @contextlib.contextmanager
    def working(self):
        """The worker runs, and has ended well when the block ends."""
        thread = threading.Thread(target=self.worker.run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.worker.stop()
            thread.join(DEADLINE)
        assert not thread.is_alive()


class Team(Site):
    """A site whose worker has several threads."""

    def __init__(self, layer, *routes, n_threads=2, **options):
        super().__init__(layer, *routes)
        self.worker = WorkerGroup(
            self.wrapper, signal_handlers=False, n_threads=n_threads, **options
        )


def troubled(layer, trouble):
    """Every exchange and settling of workers on ``layer`` calls ``trouble(sends, carry_out)``.

    ``carry_out()`` does what was asked for, and returns its result.
    """
    made = layer.receiver

    def receiver(channels, **options):
        receiver = made(channels, **options)
        exchange, settle = receiver.exchange, receiver.settle

        def exchange_in_trouble(**options):
            return trouble(options["sends"], lambda: exchange(**options))

        receiver.exchange = exchange_in_trouble
        receiver.settle = lambda done, sends: trouble(sends, lambda: settle(done, sends))
        return receiver

    layer.receiver = receiver


def report(message, **content):
    """What consumers say of themselves, on a channel that the test reads."""
    Channel(REPORT, channel_layer=message.channel_layer).send(content or dict(message.content))


def at_once(message, **content):
    Channel(REPORT, channel_layer=message.channel_layer).send(content, immediately=True)


def survives(site):
    """That the worker goes on: a message after all the trouble is still worked on."""
    site.send(number="after")
    return site.received() == {"number": "after"}


def meeting(number):
    """An async consumer that waits until ``number`` of it run at the same time."""
    here = []
    complete = asyncio.Event()

    async def consumer(message):
        here.append(message["number"])
        if len(here) == number:
            complete.set()
        await complete.wait()
        report(message)

    return consumer


class Odd(ChannelSocketException):
    def run(self, message):
        raise RuntimeError("odd")


class Unfinished(ChannelSocketException):
    pass
