"""Which channels are in which group, in one process's memory."""

from __future__ import annotations

import pytest

from channels_classic.layers.memberships import Memberships


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def groups(clock):
    groups = Memberships(clock)
    groups.add("g", "a", until=110)
    groups.add("g", "b", until=float("inf"))
    groups.add("h", "a", until=float("inf"))
    return groups


def test_members_are_told_in_the_order_in_which_they_came(groups):
    assert groups.of("g") == ["a", "b"]
    assert groups.of("unknown") == []


def test_a_membership_ends_when_its_time_has_come(groups, clock):
    clock.now = 110
    assert groups.of("g") == ["b"]


def test_adding_again_renews_the_membership(groups, clock):
    groups.add("g", "a", until=120)
    clock.now = 110
    assert groups.of("g") == ["a", "b"]


def test_a_discarded_channel_stays_in_its_other_groups(groups):
    groups.discard("g", "a")
    groups.discard("g", "never there")
    assert (groups.of("g"), groups.of("h")) == (["b"], ["a"])


def test_a_forgotten_channel_is_in_no_group(groups):
    groups.forget(lambda name: name == "a")
    assert (groups.of("g"), groups.of("h")) == (["b"], [])


def test_groups_without_members_are_not_kept(groups, clock):
    groups.discard("h", "a")
    assert len(groups) == 1
    groups.discard("g", "b")
    clock.now = 110
    groups.expire()
    assert len(groups) == 0
