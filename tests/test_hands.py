"""What one worker thread has in hand."""

from __future__ import annotations

import threading
import time

import pytest

from channels_classic import hands
from channels_classic.exceptions import LayerUnavailable
from channels_classic.hands import SLOW, Hand
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.traffic import Delivery, Envelope, Exchange, Reasons
from channels_classic.tally import Tally
from channels_classic.watch import TICK, Watch


class Bus:
    """A receiver that keeps what it is told, and hands out what the test has put in it."""

    def __init__(self):
        self.waiting = []
        self.calls = []
        self.troubles = []
        self.refuses = []
        self.closed = False

    def _call(self, *call):
        if self.troubles:
            raise self.troubles.pop()
        self.calls.append(call)

    def exchange(self, *, done, sends, limit, timeout):
        self._call("exchange", list(done), list(sends))
        deliveries, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return Exchange(deliveries, self._refused(sends))

    def settle(self, done, sends):
        self._call("settle", list(done), list(sends))
        return self._refused(sends)

    def _refused(self, sends):
        return [each for each in sends if each.name in self.refuses]

    def give_back(self, deliveries):
        self._call("give_back", list(deliveries))

    def close(self):
        self.closed = True


@pytest.fixture
def bus():
    return Bus()


@pytest.fixture
def layer():
    return InMemoryChannelLayer()


@pytest.fixture
def hand(bus, layer, monkeypatch):
    monkeypatch.setattr(hands, "FLUSH_DEADLINE", 0.05)
    monkeypatch.setattr(hands, "RETRY", 0.001)
    return Hand(layer, bus, tally=Tally(layer), watch=Watch())


def delivery(number, **options):
    return Delivery("work", {"number": number}, lane=f"reply!1 {number}", **options)


def send(name="report", **options):
    return Envelope(name, b"", **options)


A, B, C = map(delivery, range(3))
AWAY = LayerUnavailable("no bus")
DOUBT = LayerUnavailable("no bus", in_doubt=True)


def taken(hand, bus, *deliveries):
    bus.waiting = list(deliveries)
    hand.exchange(8)
    bus.calls = []


# From the bus and to it --------------------------------------------------------------------------


def test_what_is_taken_is_started_in_its_order(hand, bus):
    taken(hand, bus, A, B)
    assert [hand.start(), hand.start(), hand.start()] == [A, B, None]


def test_a_message_that_is_started_is_the_current_one_until_it_is_finished(hand, bus):
    taken(hand, bus, A)
    hand.start()
    assert hand.current is A
    hand.finish(A)
    assert hand.current is None


def test_answers_go_out_with_the_next_exchange_and_once(hand, bus):
    hand.finish(A, [send()])
    hand.exchange(8)
    hand.exchange(8)
    assert bus.calls == [("exchange", [A], [send()]), ("exchange", [], [])]


def test_answers_go_out_when_they_are_settled(hand, bus):
    hand.finish(A, [send()])
    assert hand.settle()
    assert bus.calls == [("settle", [A], [send()])]


def test_what_is_refused_is_tried_again(hand, bus):
    bus.refuses = ["full"]
    hand.finish(A, [send("full"), send()])
    hand.exchange(8)
    hand.exchange(8)
    assert bus.calls[1] == ("exchange", [], [send("full")])


def test_what_stays_refused_is_given_up(hand, bus, layer):
    bus.refuses = ["full"]
    hand.finish(A, [send("full")])
    end = time.monotonic() + 10
    while not layer.channel_statistics("full")["dropped_count"]:
        assert time.monotonic() < end
        hand.exchange(8)
    bus.calls = []
    hand.exchange(8)
    assert bus.calls == [("exchange", [], [])]


def test_a_message_that_is_buried_goes_behind_its_answers(hand, bus, layer):
    hand.bury(A, Reasons("why"), [send()])
    assert bus.calls == [("settle", [], [send()])]
    [letter] = layer.dead_letters()
    assert (letter.content, letter.error) == ({"number": 0}, "why")
    hand.exchange(8)
    assert bus.calls[-1] == ("exchange", [A._replace(lane="")], [])  # the receiver forgets it


def test_a_message_that_cannot_be_buried_yet_is_buried_later(hand, bus, layer, monkeypatch):
    bury, troubles = layer.bury, [AWAY]

    def away(delivery, reasons):
        if troubles:
            raise troubles.pop()
        bury(delivery, reasons)

    monkeypatch.setattr(layer, "bury", away)
    hand.bury(A, Reasons("why"))
    assert list(layer.dead_letters()) == []
    hand.exchange(8)
    assert len(list(layer.dead_letters())) == 1


def test_a_lane_that_may_go_on_is_acknowledged_at_once(hand, bus):
    taken(hand, bus, A)
    hand.start()
    assert hand.acknowledge(A) == A._replace(lane="")
    assert bus.calls == [("settle", [A], [])]
    assert hand.current == A._replace(lane="")


# The bus is away ---------------------------------------------------------------------------------


def test_answers_wait_for_a_bus_that_is_away(hand, bus):
    bus.troubles = [AWAY, AWAY]
    hand.finish(A, [send()])
    assert not hand.settle()
    with pytest.raises(LayerUnavailable):
        hand.exchange(8)
    hand.exchange(8)
    assert bus.calls == [("exchange", [A], [send()])]


@pytest.mark.parametrize("by", ["settle", "exchange"])
def test_what_may_have_arrived_is_not_sent_again_but_acknowledged(hand, bus, layer, by):
    bus.troubles = [DOUBT]
    hand.finish(A, [send(), send("other")])
    if by == "settle":
        hand.settle()
    else:
        with pytest.raises(LayerUnavailable):
            hand.exchange(8)
    hand.exchange(8)
    assert bus.calls == [("exchange", [A], [])]
    assert layer.channel_statistics("report")["in_doubt_count"] == 1
    assert layer.channel_statistics("other")["in_doubt_count"] == 1


def test_a_message_that_is_tried_again_is_rather_sent_twice_than_never(hand, bus):
    again = send("work", attempts=1)
    bus.troubles = [DOUBT]
    hand.finish(A, [send(), again])
    hand.settle()
    hand.settle()
    assert bus.calls == [("settle", [A], [again])]


def test_what_cannot_be_given_back_yet_is_not_started_and_given_back_later(hand, bus):
    taken(hand, bus, A, B)
    bus.troubles = [DOUBT]
    hand.give_back()
    assert hand.start() is None
    hand.exchange(8)
    assert bus.calls[0] == ("give_back", [A, B])


# The end ---------------------------------------------------------------------------------


def test_who_leaves_settles_and_closes(hand, bus):
    hand.finish(A, [send()])
    hand.leave()
    assert bus.calls == [("settle", [A], [send()])]
    assert bus.closed


def test_who_leaves_waits_for_a_bus_that_is_away_and_no_longer_than_so(hand, bus):
    bus.troubles = [AWAY] * 3
    hand.finish(A, [send()])
    hand.leave()
    assert bus.calls == [("settle", [A], [send()])]
    bus.troubles = [AWAY] * 100_000
    hand.finish(B, [send()])
    began = time.monotonic()
    hand.leave()
    assert time.monotonic() - began < 5
    assert bus.calls == [("settle", [A], [send()])]


def test_who_leaves_counts_what_could_not_be_sent(hand, bus, layer):
    bus.refuses = ["full"]
    hand.finish(A, [send("full")])
    hand.leave()
    assert layer.channel_statistics("full")["dropped_count"] == 1


# Suspects ---------------------------------------------------------------------------------


def test_before_a_suspect_all_else_leaves_the_hand(hand, bus):
    suspect = delivery(7, crashes=1)
    taken(hand, bus, A, suspect, B)
    hand.finish(hand.start(), [send()])
    assert hand.start() is suspect
    assert bus.calls == [("settle", [A], [send()]), ("give_back", [B])]


def test_a_suspect_does_not_run_while_the_bus_is_away(hand, bus):
    suspect = delivery(7, crashes=1)
    taken(hand, bus, suspect, B)
    bus.troubles = [AWAY]
    assert hand.start() is None
    assert hand.current is None
    hand.exchange(8)
    assert bus.calls[0] == ("give_back", [B, suspect])


# The watch ---------------------------------------------------------------------------------


def test_behind_a_fast_consumer_everything_stays_in_hand(hand, bus):
    taken(hand, bus, A, B)
    hand.start()
    assert hand.look(hand.began + SLOW / 2) == TICK
    assert bus.calls == []


def test_behind_a_slow_consumer_nothing_stays(hand, bus):
    taken(hand, bus, A, B, C)
    hand.finish(hand.start(), [send()])
    hand.start()
    hand.look(hand.began + 2 * SLOW)
    assert bus.calls == [("settle", [A], [send()]), ("give_back", [C])]
    assert hand.look(hand.began + 2 * SLOW) is None
    assert hand.start() is None


def test_with_one_message_in_hand_there_is_nothing_to_look_at(hand, bus):
    taken(hand, bus, A)
    hand.start()
    assert hand.look(hand.began + 100) is None


def test_between_two_batches_there_is_nothing_to_look_at(hand, bus):
    taken(hand, bus)
    hand.finish(A)
    assert hand.start() is None
    assert hand.look(time.monotonic()) is None


def test_the_watch_does_not_wait_for_a_thread_that_is_at_the_bus(hand, bus):
    taken(hand, bus, A, B)
    hand.start()
    with hand.lock:
        looking = threading.Thread(target=hand.look, args=[hand.began + SLOW])
        looking.start()
        looking.join(10)
        assert not looking.is_alive()
    assert bus.calls == []


def test_the_watch_pauses_while_the_bus_is_away(hand, bus):
    taken(hand, bus, A, B)
    hand.finish(hand.start())
    hand.start()
    bus.troubles = [AWAY]
    hand.look(hand.began + 1)
    hand.look(hand.began + 1.5)
    assert bus.calls == []
    hand.look(hand.began + 2.1)
    assert bus.calls == [("settle", [A], [])]


def test_what_could_not_be_given_back_is_once_the_bus_is_there_again(hand, bus):
    taken(hand, bus, A, B)
    hand.start()
    bus.troubles = [AWAY]
    hand.look(hand.began + 1)
    assert hand.look(hand.began + 1.5) == TICK
    hand.look(hand.began + 2.1)
    assert bus.calls == [("give_back", [B])]


def test_what_is_taken_while_the_watch_rests_is_given_back_behind_a_slow_consumer(hand, bus):
    """The watch, woken, may look before the first message has been started."""
    looks = []

    class Looked:
        def look(self, now):
            looks.append(hand.look(now))
            return looks[-1]

    def until(condition):
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, "it did not happen within 10 s"
            time.sleep(0.001)

    hand._watch.watched.append(Looked())
    with hand._watch:
        until(lambda: hand._watch._rests)
        taken(hand, bus, A, B)
        before = len(looks)
        until(lambda: len(looks) > before + 1)
        hand.start()
        until(lambda: bus.calls == [("give_back", [B])])
