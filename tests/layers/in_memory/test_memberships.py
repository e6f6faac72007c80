"""Which channels are in which group, in one process's memory."""

from __future__ import annotations

import pytest

from channels_classic.layers.in_memory.memberships import Memberships


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
    groups.forget("a")
    groups.forget("never there")
    assert (groups.of("g"), groups.of("h")) == (["b"], [])


def test_groups_without_members_are_not_kept(groups, clock):
    groups.discard("h", "a")
    assert len(groups) == 1
    groups.discard("g", "b")
    clock.now = 110
    groups.expire()
    assert len(groups) == 0


def test_the_connections_of_a_process_are_together(groups):
    for name in ("p!x", "q!x", "p!y"):
        groups.add("g", name, until=float("inf"))
    assert groups.by_process("g") == {"a": [""], "b": [""], "p!": ["x", "y"], "q!": ["x"]}
    assert groups.by_process("unknown") == {}


def test_members_are_counted_once_and_until_their_end(groups, clock):
    groups.add("g", "p!x", until=float("inf"))
    groups.add("g", "p!x", until=float("inf"))
    assert (groups.count("g"), groups.count("unknown")) == (3, 0)
    clock.now = 110
    assert groups.count("g") == 2


def test_the_next_end_is_found_after_one_has_come(groups, clock):
    groups.add("g", "c", until=120)
    clock.now = 110
    assert groups.of("g") == ["b", "c"]
    clock.now = 120
    assert groups.of("g") == ["b"]


def test_a_forgotten_process_has_no_members(groups):
    for group, name in (("g", "p!x"), ("h", "p!y"), ("h", "q!x")):
        groups.add(group, name, until=float("inf"))
    groups.forget_process("p!")
    assert (groups.of("g"), groups.of("h")) == (["a", "b"], ["a", "q!x"])
