"""What a worker shows to Prometheus: of its runs, and of the bus."""

from __future__ import annotations

import socket
import sys
import urllib.request

import pytest
from django.core.management import CommandError
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.management.commands import runworker
from channels_classic.management.commands.runworker import addresses, served_metrics
from channels_classic.worker import WorkerGroup
from channels_classic.worker_metrics import BusCollector, ConsumerMetrics, served
from tests.acceptance.processes import free_port


def figures(registry):
    """All of ours, by name and labels."""
    return {
        (sample.name.removeprefix("channels_classic_"), *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_the_bus_is_read_when_somebody_asks():
    layer, registry = InMemoryChannelLayer(), CollectorRegistry()
    registry.register(BusCollector(layer, ["work", "quiet"]))
    layer.beat("worker", ["work"], ttl=60)
    for delay in (0, 0, 60):
        layer.deliver([layer.prepare("work", {"photo": 1}, delay=delay)])
    layer.send("strange", {"name": "made up"})
    found = figures(registry)
    assert found["bus_up",] == 1
    assert found["channel_waiting_messages", "work"] == 2
    assert found["channel_oldest_message_seconds", "work"] >= 0
    assert found["channel_delayed_messages", "work"] == 1
    assert found["channel_workers", "work"] == 1
    assert found["channel_workers", "quiet"] == 0
    assert found["channel_messages_total", "work", "sent"] >= 2
    assert {key[1] for key in found if len(key) > 1} == {"work", "quiet"}
    events = {key[2] for key in found if key[0] == "channel_messages_total"}
    assert events == {"sent", *(each.removesuffix("_count") for each in Counter)} - {"messages"}


class Away:
    class ledger:
        @staticmethod
        def census(channels, *, others):
            raise LayerUnavailable


def test_a_bus_that_is_away_leaves_the_figures_of_the_process():
    registry = CollectorRegistry()
    ConsumerMetrics(registry).began("work", "project.work", None)
    registry.register(BusCollector(Away, ["work"]))
    found = figures(registry)
    assert found["bus_up",] == 0
    assert found["consumers_in_progress", "work", "project.work"] == 1
    assert not any(name.startswith("channel_") for name, *_ in found)


def test_figures_are_served_until_the_block_ends():
    registry = CollectorRegistry()
    with (
        served("127.0.0.1", [0], BusCollector(InMemoryChannelLayer(), []), registry) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer,
    ):
        families = list(text_string_to_metric_families(answer.read().decode()))
    assert "channels_classic_bus_up" in {family.name for family in families}
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20)


def test_of_several_ports_the_first_that_is_free_is_taken():
    bus, registry = BusCollector(InMemoryChannelLayer(), []), CollectorRegistry()
    with served("127.0.0.1", [0], bus, registry) as first, socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        ports = [first, held.getsockname()[1], free_port()]
        with served("127.0.0.1", ports, bus, CollectorRegistry()) as taken:
            assert taken == ports[2]
        with pytest.raises(OSError, match="in use"), served("127.0.0.1", ports[:2], bus, registry):
            pass
        with pytest.raises(OSError), served("192.0.2.1", ports, bus, registry):
            pass


# The option -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9100", ("127.0.0.1", [9100])),
        ("0.0.0.0:9100", ("0.0.0.0", [9100])),
        ("[::1]:0", ("::1", [0])),
        ("9100-9102", ("127.0.0.1", [9100, 9101, 9102])),
        ("[::1]:9100-9101", ("::1", [9100, 9101])),
    ],
)
def test_a_port_is_one_of_this_machine_unless_there_is_a_host(text, found):
    host, ports = addresses(text)
    assert (host, list(ports)) == found


@pytest.mark.parametrize("text", ["", "port", "1:", "65536", "-1", "9-8", "1-", "9100-65536"])
def test_what_is_no_port_is_refused_with_an_example(text):
    with pytest.raises(runworker.ArgumentTypeError, match="is not like 9100"):
        addresses(text)


@pytest.fixture
def worker():
    return WorkerGroup(ChannelLayerWrapper(InMemoryChannelLayer(), "default", []), n_threads=2)


def test_a_port_that_is_taken_is_named(worker, monkeypatch):
    registry = CollectorRegistry()
    with served("127.0.0.1", [0], BusCollector(InMemoryChannelLayer(), []), registry) as port:
        monkeypatch.setattr("prometheus_client.REGISTRY", registry)
        monkeypatch.setattr(
            "channels_classic.worker_metrics.ConsumerMetrics", lambda: ConsumerMetrics(registry)
        )
        wanted = rf"cannot serve metrics on 127.0.0.1:{port}: Address already in use"
        where = "127.0.0.1", [port]
        with pytest.raises(CommandError, match=wanted), served_metrics(where, worker):
            pass


def test_without_the_option_nothing_is_counted(worker):
    with served_metrics(None, worker):
        assert worker.observer.meter is None


def test_without_the_library_it_says_what_to_install(worker, monkeypatch):
    monkeypatch.delitem(sys.modules, "channels_classic.worker_metrics")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    wanted = r"pip install 'channels-classic\[metrics\]'"
    with (
        pytest.raises(CommandError, match=wanted),
        served_metrics(("127.0.0.1", [free_port()]), worker),
    ):
        pass
