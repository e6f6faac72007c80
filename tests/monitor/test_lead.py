"""Of all worker processes one leads."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.monitor.lead import TERM, Lead


class Bus:
    """Claims, by a clock that the test moves."""

    def __init__(self):
        self.now = 1000.0 * TERM
        self.until = {}
        self.asked = 0

    def claim(self, name, seconds):
        self.asked += 1
        if self.until.get(name, 0) > self.now:
            return False
        self.until[name] = self.now + seconds
        return True

    def lead(self):
        return Lead(self.claim, clock=lambda: self.now)


@pytest.fixture
def bus():
    return Bus()


def test_one_of_several_leads_and_it_is_always_the_same_one(bus):
    leads = [bus.lead() for _ in range(5)]
    seen = set()
    for _ in range(200):
        seen.add(tuple(each.is_mine() for each in leads))
        bus.now += TERM / 6
    assert seen == {(True, False, False, False, False)}


def test_when_it_dies_another_one_leads_within_two_terms(bus):
    first, second = bus.lead(), bus.lead()
    assert (first.is_mine(), second.is_mine()) == (True, False)
    bus.now += TERM * 0.9
    assert first.is_mine()  # it has the next term, too, and dies
    died = bus.now
    while not second.is_mine():
        bus.now += TERM / 6
    assert bus.now - died <= 2 * TERM


def test_the_bus_is_asked_once_in_a_term(bus):
    lead = bus.lead()
    for _ in range(60):
        lead.is_mine()
        bus.now += TERM / 6
    assert bus.asked == 11


def away(name, seconds):
    raise LayerUnavailable


def test_while_the_bus_is_away_nobody_leads(bus):
    lead = Lead(away, clock=lambda: bus.now)
    with pytest.raises(LayerUnavailable):
        lead.is_mine()


def test_a_bus_that_is_away_for_the_next_term_does_not_end_a_good_one(bus):
    lead = bus.lead()
    assert lead.is_mine()
    claim, lead._claim = lead._claim, away
    bus.now += TERM * 0.6
    assert lead.is_mine()
    lead._claim = claim
    bus.now += TERM * 0.2
    assert lead.is_mine()
    assert not bus.lead().is_mine()
    bus.now += TERM * 0.3
    assert lead.is_mine()  # by what it has asked for again
