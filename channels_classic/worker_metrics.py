"""What a worker process counts for Prometheus, and what it reads on the bus for it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import start_http_server
from prometheus_client.registry import Collector

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter as What
from channels_classic.layers.ledger import Census, ChannelFacts
from channels_classic.policy import Outcome

#: Seconds of a run, and of a wait on the bus.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_PREFIX = "channels_classic"
_BY = ["channel", "consumer"]
#: What a run may come to.
_OUTCOMES = (Outcome.DONE, Outcome.LATER, Outcome.FAILED)


class ConsumerMetrics:
    """A ``Meter`` of the runs of consumers.

    Its labels are routed channels and the names of their consumers: nobody can make up others.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, labels: Sequence[str]) -> Counter:
            return Counter(name, text, labels, namespace=_PREFIX, registry=registry)

        def histogram(name: str, text: str, labels: Sequence[str]) -> Histogram:
            return Histogram(
                name, text, labels, namespace=_PREFIX, registry=registry, buckets=BUCKETS
            )

        self._runs = counter(
            "consumer_runs",
            "Runs of consumers; later: it asked for that; unrouted: no filter fits.",
            [*_BY, "outcome"],
        )
        self._seconds = histogram("consumer_duration_seconds", "Seconds of a run.", _BY)
        self._waited = histogram(
            "message_wait_seconds", "Seconds of a message on the bus before its run.", ["channel"]
        )
        self._running = Gauge(
            "consumers_in_progress",
            "Consumers that run now.",
            _BY,
            namespace=_PREFIX,
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._again = counter("message_retries", "Messages that are tried again.", _BY)
        self._buried = counter("messages_given_up", "Messages that became dead letters.", _BY)

        #: By channel and consumer: to find what belongs to labels takes longer than to count.
        self._known: dict[tuple[str, str], _Figures] = {}

    def _of(self, channel: str, consumer: str) -> _Figures:
        found = self._known.get((channel, consumer))
        if found is None:
            found = self._known[channel, consumer] = _Figures(
                running=self._running.labels(channel, consumer),
                seconds=self._seconds.labels(channel, consumer),
                waited=self._waited.labels(channel),
                runs={o: self._runs.labels(channel, consumer, o.value) for o in _OUTCOMES},
            )
        return found

    def began(self, channel: str, consumer: str, waited: float | None) -> None:
        """A run begins."""
        figures = self._of(channel, consumer)
        figures.running.inc()
        if waited is not None:
            figures.waited.observe(waited)

    def ended(self, channel: str, consumer: str, outcome: Outcome, seconds: float) -> None:
        """It has ended."""
        figures = self._of(channel, consumer)
        figures.running.dec()
        figures.seconds.observe(seconds)
        figures.runs[outcome].inc()

    def again(self, channel: str, consumer: str) -> None:
        """Its message will be tried again."""
        self._again.labels(channel, consumer).inc()

    def buried(self, channel: str, consumer: str) -> None:
        """Its message goes to the dead letters."""
        self._buried.labels(channel, consumer).inc()

    def unrouted(self, channel: str) -> None:
        """No filter of the routed ``channel`` fits a message."""
        self._runs.labels(channel, "", Outcome.UNROUTED.value).inc()


class _Figures(NamedTuple):
    running: Gauge
    seconds: Histogram
    waited: Histogram
    runs: dict[Outcome, Counter]


class BusCollector(Collector):
    """Reads the bus whenever somebody asks, about ``channels`` and no others.

    All workers show the same here, whichever is asked. A bus that is away shows itself as
    ``bus_up`` 0, and the rest of the figures still comes.
    """

    def __init__(self, layer: BaseChannelLayer, channels: Sequence[str]) -> None:
        self._layer = layer
        self._channels = channels

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What there is now."""
        try:
            census = self._layer.ledger.census(self._channels, others=False)
        except LayerUnavailable:
            yield _gauge("bus_up", "Whether the bus can be reached.", 0)
            return
        yield _gauge("bus_up", "Whether the bus can be reached.", 1)
        yield _gauge("dead_letters", "Dead letters of all channels.", census.dead)
        facts = {name: census.channels[name] for name in self._channels if name in census.channels}
        for name, text, value in _GAUGES:
            found = GaugeMetricFamily(f"{_PREFIX}_channel_{name}", text, labels=["channel"])
            for channel, each in facts.items():
                found.add_metric([channel], value(each))
            yield found
        yield _events(census, self._channels)


_GAUGES: list[tuple[str, str, Callable[[ChannelFacts], float]]] = [
    ("waiting_messages", "Messages that no worker has taken.", lambda each: each.load.waiting),
    ("oldest_message_seconds", "Age of the first of them.", lambda each: each.load.oldest),
    ("delayed_messages", "Messages whose time has not come.", lambda each: each.delayed),
    ("workers", "Live worker processes.", lambda each: each.load.workers),
]


def _events(census: Census, channels: Sequence[str]) -> Metric:
    """By the values of the layers' ``Counter``."""
    text = "What became of messages, by event; it begins anew a day after it began."
    found = CounterMetricFamily(f"{_PREFIX}_channel_messages", text, labels=["channel", "event"])
    for channel in channels:
        counts = census.channels[channel].counts if channel in census.channels else {}
        for what in What:
            event = "sent" if what is What.SENT else what.value.removesuffix("_count")
            found.add_metric([channel, event], counts.get(what.value, 0))
    return found


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)


@contextlib.contextmanager
def served(
    host: str, ports: Sequence[int], collector: Collector, registry: CollectorRegistry = REGISTRY
) -> Iterator[int]:
    """While the block runs, all figures of this process can be had at ``host`` and the port given,
    the first of ``ports`` that is free.

    The library's own registry has those of the project, too. Raises ``OSError`` when it cannot
    listen there.
    """
    server = _listening(host, ports, registry)
    registry.register(collector)
    try:
        yield server.server_port
    finally:
        registry.unregister(collector)
        server.shutdown()
        server.server_close()


def _listening(host: str, ports: Sequence[int], registry: CollectorRegistry) -> WSGIServer:
    for port in ports[:-1]:
        try:
            return start_http_server(port, host, registry)[0]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return start_http_server(ports[-1], host, registry)[0]
