"""The beat of a worker process."""

from __future__ import annotations

import asyncio
import threading

import pytest

from channels_classic import beat as beat_module
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.beat import EVERY, INTERVAL, LATE, PROMPT, SHORTEST, TTL, Beat, Rhythm
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.traffic import Delivery, Envelope, Pulse, Reasons
from channels_classic.policy import consumer
from channels_classic.routing import route
from tests.worker.site import until


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Recording(InMemoryChannelLayer):
    """Keeps what it is asked for; says what the test tells it to."""

    def __init__(self):
        super().__init__()
        self.beats = []
        self.withdrawn = []
        self.done = []
        self.next_due = None
        self.lapsed = []
        self.troubles = []
        #: What a beat costs, by the clock.
        self.clock = Clock()
        self.takes = 0.0
        self.changed = threading.Condition()

    def trouble(self):
        if self.troubles:
            raise self.troubles.pop()

    def beat(self, worker, channels, *, ttl, recover=True):
        with self.changed:
            self.beats.append((worker, list(channels), ttl, recover))
            self.changed.notify_all()
        self.clock.now += self.takes
        self.trouble()
        super().beat(worker, channels, ttl=ttl)
        lapsed, self.lapsed = (self.lapsed, []) if recover else ([], self.lapsed)
        return Pulse(lapsed, self.next_due)

    def withdraw(self, worker, channels):
        self.withdrawn.append((worker, list(channels)))
        super().withdraw(worker, channels)

    def lose(self, deliveries, counter):
        self.trouble()
        self.done += [("lose", delivery, counter) for delivery in deliveries]

    def bury(self, delivery, reasons):
        self.trouble()
        self.done.append(("bury", delivery, reasons))

    def settle(self, done, sends):
        self.trouble()
        self.done.append(("settle", list(done), list(sends)))
        return []

    def wait_for_beats(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.beats) >= count, 10)

    def alive(self, channel="work"):
        return asyncio.run(self.has_worker(channel))


@pytest.fixture
def layer():
    return Recording()


def plain(message):
    pass


@consumer(max_attempts=5)
def careful(message):
    pass


class BrokenRoute:
    def match(self, message):
        if message.channel_name == "broken":
            raise RuntimeError("broken filter")

    def channel_names(self):
        return {"broken"}


def beating(layer, channels=("work",), **options):
    routes = [BrokenRoute(), route("plain", plain), route("careful", careful)]
    wrapper = ChannelLayerWrapper(layer, "default", routes)
    return Beat(wrapper, list(channels), worker="host-1-abc", **options)


# The thread -------------------------------------------------------------------------------------


@pytest.fixture
def _quick(monkeypatch):
    monkeypatch.setattr(beat_module, "INTERVAL", 0.005)


def test_a_worker_beats_with_its_name_and_channels_and_recovers_nothing_at_first(layer):
    with beating(layer, ["a", "b"]):
        assert layer.beats == [("host-1-abc", ["a", "b"], TTL, False)]


@pytest.mark.usefixtures("_quick")
def test_a_worker_beats_again_and_again(layer):
    with beating(layer):
        layer.wait_for_beats(3)


def test_servers_see_the_worker_while_the_block_runs(layer):
    with beating(layer):
        assert layer.alive()
    assert not layer.alive()


@pytest.mark.usefixtures("_quick")
def test_a_worker_that_ends_is_withdrawn(layer):
    with beating(layer):
        layer.wait_for_beats(2)
    assert layer.withdrawn == [("host-1-abc", ["work"])]


def test_a_worker_that_ends_by_an_error_is_withdrawn_too(layer):
    with pytest.raises(RuntimeError), beating(layer):
        raise RuntimeError
    assert len(layer.withdrawn) == 1


@pytest.mark.usefixtures("_quick")
def test_a_layer_that_is_away_is_tried_again(layer, caplog):
    layer.troubles = [LayerUnavailable()] * 3
    with beating(layer):
        until(layer.alive)
    assert caplog.text == ""  # the loop of the worker says so


@pytest.mark.usefixtures("_quick")
def test_a_mistake_does_not_end_the_beat(layer, caplog):
    layer.troubles = [RuntimeError("odd")] * 3
    with beating(layer):
        until(layer.alive)
    assert caplog.text.count("Error in the beat of worker host-1-abc") == 3


def test_a_layer_that_is_away_at_the_end_is_no_error(layer, monkeypatch):
    def away(worker, channels):
        raise LayerUnavailable

    monkeypatch.setattr(layer, "withdraw", away)
    with beating(layer) as beat:
        pass
    assert not beat._thread.is_alive()


# When -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("next_due", "pause"),
    [(None, INTERVAL), (100, INTERVAL), (0.2, 0.2), (0.001, SHORTEST), (0, SHORTEST)],
)
def test_a_beat_comes_when_a_message_is_due_or_after_the_interval(layer, next_due, pause):
    layer.next_due = next_due
    assert beating(layer).beat() == pause


@pytest.mark.parametrize("trouble", [LayerUnavailable(), RuntimeError()])
def test_after_trouble_the_next_beat_comes_as_ever(layer, trouble):
    layer.troubles = [trouble]
    assert beating(layer).beat() == INTERVAL


def test_a_beat_that_is_missed_does_not_end_the_worker():
    assert TTL >= 3 * INTERVAL
    assert LATE >= 3 * INTERVAL


# Who may judge ----------------------------------------------------------------------------------


def beaten(*times):
    rhythm = Rhythm()
    for each in times:
        rhythm.beaten(each)
    return rhythm


def in_time(start, end):
    return [start + n * INTERVAL for n in range(int((end - start) / INTERVAL) + 1)]


def test_who_has_not_beaten_is_not_steady():
    assert not Rhythm().is_steady(100)


def test_who_has_beaten_in_time_for_long_enough_is_steady():
    assert not beaten(*in_time(0, TTL - INTERVAL)).is_steady(TTL - INTERVAL / 2)
    assert beaten(*in_time(0, TTL)).is_steady(TTL)


def test_who_is_late_is_not_steady():
    rhythm = beaten(*in_time(0, TTL))
    assert rhythm.is_steady(TTL + LATE)
    assert not rhythm.is_steady(TTL + LATE + 0.1)


def test_who_was_late_is_steady_only_after_as_long_again():
    back = TTL + LATE + 1
    rhythm = beaten(*in_time(0, TTL), *in_time(back, back + TTL - INTERVAL))
    assert not rhythm.is_steady(back + TTL - 0.1)
    rhythm.beaten(back + TTL)
    assert rhythm.is_steady(back + TTL)


def beats_for(beat, layer, seconds):
    """Beat for so long; the times of the beats that asked for recovery."""
    asked, end = [], layer.clock.now + seconds
    while layer.clock.now < end:
        began, before = layer.clock.now, len(layer.beats)
        beat.beat()
        asked += [began - 1000 for *_, recover in layer.beats[before:] if recover]
        layer.clock.now += INTERVAL
    return asked


def test_the_dead_are_looked_for_once_all_had_the_time_to_beat(layer):
    asked = beats_for(beating(layer, clock=layer.clock), layer, TTL + 3)
    assert asked == [TTL + n * EVERY for n in range(3)]


def test_they_are_looked_for_in_a_call_of_its_own(layer):
    """Else a bus that held up this beat and all the others' would make them seem dead."""
    beats_for(beating(layer, clock=layer.clock), layer, TTL + 0.1)
    assert [recover for *_, recover in layer.beats[-2:]] == [False, True]


def test_who_waited_for_the_bus_does_not_look_for_the_dead(layer):
    beat = beating(layer, clock=layer.clock)
    beats_for(beat, layer, TTL)
    layer.takes = PROMPT
    assert beats_for(beat, layer, 5) == []
    layer.takes = 0
    assert len(beats_for(beat, layer, 2)) == 2


def test_after_an_outage_the_others_get_the_time_to_beat(layer):
    beat = beating(layer, clock=layer.clock)
    beats_for(beat, layer, TTL + 2)
    layer.clock.now += 10
    assert beats_for(beat, layer, TTL - INTERVAL) == []
    assert len(beats_for(beat, layer, 1)) == 1


# What dead workers left -------------------------------------------------------------------------


@pytest.fixture
def recover(layer):
    """``recover(delivery, …)``: what is done with what dead workers had in hand."""

    def recover(*deliveries):
        beat = beating(layer, clock=layer.clock)
        beats_for(beat, layer, TTL)
        layer.lapsed = list(deliveries)
        beat.beat()
        recover.beat = beat
        return layer.done

    return recover


def lapsed(channel, **options):
    return Delivery(channel, {"a": 1}, payload=b"as it was", **options)


def test_at_most_once_it_is_lost(recover):
    delivery = lapsed("plain", lane="reply!1 7")
    assert recover(delivery) == [("lose", delivery, Counter.LOST)]


def test_what_no_route_matches_is_lost(recover):
    delivery = lapsed("unknown")
    assert recover(delivery) == [("lose", delivery, Counter.LOST)]


def test_at_least_once_it_runs_again_at_once_and_its_lane_goes_on_waiting(recover, layer, caplog):
    delivery = lapsed("careful", lane="reply!1 7", attempts=2, crashes=1)
    [(_, [done], [again])] = recover(delivery)
    assert done == delivery._replace(lane="")
    assert again == Envelope(
        "careful", b"as it was", lane="reply!1 7", delay=0, attempts=3, crashes=2
    )
    assert layer.channel_statistics("careful")["recovered_count"] == 1
    assert "careful: 1 recovered (its worker died)" in caplog.text


def test_a_layer_that_keeps_no_payload_gets_the_content(recover, layer):
    [(_, _, [again])] = recover(Delivery("careful", {"a": 1}))
    assert again.payload == layer.encode({"a": 1})


def test_what_killed_three_workers_is_given_up(recover):
    delivery = lapsed("careful", attempts=2, crashes=2)
    assert recover(delivery) == [("bury", delivery, Reasons("killed its worker 3 times"))]


def test_what_finds_its_channel_full_is_given_up(recover, layer, monkeypatch):
    monkeypatch.setattr(layer, "settle", lambda done, sends: sends)
    delivery = lapsed("careful")
    reasons = Reasons("its worker died, and the channel is full")
    assert recover(delivery) == [("bury", delivery, reasons)]


def test_a_filter_that_fails_costs_its_message_alone(recover, caplog):
    broken, other = lapsed("broken"), lapsed("plain")
    assert [delivery for _, delivery, _ in recover(broken, other)] == [broken, other]
    assert "Could not recover a message on broken" in caplog.text
    assert "broken filter" in caplog.text


def test_when_the_bus_goes_away_the_rest_is_seen_to_next_time(recover, layer):
    deliveries = [lapsed("plain", attempts=number) for number in range(3)]
    lost = []

    def lose(found, counter):
        if not layer.withdrawn:
            layer.withdrawn.append("once")
            raise LayerUnavailable
        lost.extend(found)

    layer.lose = lose
    recover(*deliveries)
    assert lost == []
    recover.beat.beat()
    assert lost == deliveries
