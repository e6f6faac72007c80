"""The parts that the guard of connections is made of: census, alarm and pace."""

from __future__ import annotations

import asyncio
import math
import resource

import pytest

from channels_classic.server.engines import pace
from channels_classic.server.engines.alarm import Alarm
from channels_classic.server.engines.census import Census, possible_connections
from channels_classic.server.engines.pace import Pace
from channels_classic.server.options import Limits

# How many connections -----------------------------------------------------------------------------


class Noted:
    def __init__(self):
        self.texts = []

    def __call__(self, counter, text):
        self.texts.append(text)


def test_each_address_has_so_many_connections():
    census = Census(Limits(max_connections_per_address=2), Noted())
    a, b = ("10.0.0.1", 1), ("10.0.0.2", 1)
    assert [census.admit(each) for each in (a, a, a, b, None)] == [True, True, False, True, True]
    census.leave(a)
    assert census.admit(a)


def test_a_client_with_ipv6_has_a_network_of_addresses():
    census = Census(Limits(max_connections_per_address=1), Noted())
    assert census.admit(("2001:db8:1:2::1", 1))
    assert not census.admit(("2001:db8:1:2:ffff::2", 1))
    assert census.admit(("2001:db8:1:3::1", 1))


def test_a_client_with_ipv4_is_the_same_on_a_socket_of_ipv6():
    census = Census(Limits(max_connections_per_address=1), Noted())
    assert census.admit(("10.0.0.1", 1))
    assert not census.admit(("::ffff:10.0.0.1", 1))
    assert census.admit(("::ffff:10.0.0.2", 1))


def test_who_has_gone_is_forgotten():
    census = Census(Limits(max_connections_per_address=1), Noted())
    for number in range(10):
        client = (f"10.0.0.{number}", 1)
        assert census.admit(client)
        census.leave(client)
    assert (census.size, dict(census._of)) == (0, {})


def test_the_log_says_why():
    noted = Noted()
    census = Census(Limits(max_connections=1, max_connections_per_address=1), noted)
    census.admit(("10.0.0.1", 1))
    census.admit(("10.0.0.1", 2))
    assert noted.texts == ["Refused a connection of 10.0.0.1: there are 1 connections."]


def test_by_default_there_are_as_many_as_the_descriptors_allow():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 1024:
        pytest.skip("this process may have few descriptors only")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        most = possible_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
        assert 512 < most < before[1] or before[1] == resource.RLIM_INFINITY
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# Time ---------------------------------------------------------------------------------------------


class Clock:
    """An event loop of which there is only the time."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def time(self):
        return self.now

    def call_at(self, when, call):
        timer = asyncio.TimerHandle(when, call, (), self)
        self.calls.append(timer)
        return timer

    def _timer_handle_cancelled(self, timer):
        self.calls.remove(timer)

    def pass_to(self, now):
        for timer in [each for each in self.calls if each.when() <= now]:
            self.calls.remove(timer)
            self.now = timer.when()
            timer._run()
        self.now = now

    def get_debug(self):
        return False


def test_an_alarm_rings_at_the_last_time_it_was_set_to():
    clock, rings = Clock(), []
    alarm = Alarm(clock, lambda: rings.append(clock.now))
    alarm.set(10)
    alarm.set(20)
    assert len(clock.calls) == 1  # to put it off costs nothing
    clock.pass_to(10)
    assert rings == []
    clock.pass_to(20)
    assert rings == [20]
    clock.pass_to(100)
    assert rings == [20]


def test_an_alarm_may_be_set_to_an_earlier_time_and_to_none():
    clock, rings = Clock(), []
    alarm = Alarm(clock, lambda: rings.append(clock.now))
    alarm.set(20)
    alarm.set(5)
    clock.pass_to(5)
    assert rings == [5]
    alarm.set(30)
    alarm.set(math.inf)
    clock.pass_to(30)
    assert (rings, clock.calls) == ([5], [])


def test_an_alarm_that_was_stopped_rings_no_more():
    clock, rings = Clock(), []
    alarm = Alarm(clock, lambda: rings.append(clock.now))
    alarm.set(5)
    alarm.stop()
    alarm.set(6)
    clock.pass_to(10)
    assert rings == []


def test_the_time_for_a_body_grows_with_what_has_come():
    measured = Pace(100)
    assert measured.due(1000) == 1000 + pace.GRACE
    measured.came(500, waits=False)
    assert measured.due(1010) == 1000 + pace.GRACE + 5
    measured.came(500, waits=True)  # the client had to wait: it is not to blame
    assert measured.due(1030) == 1030 + pace.GRACE


def test_without_a_rate_a_body_has_all_the_time():
    assert Pace(0).due(1000) == math.inf
