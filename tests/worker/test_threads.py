"""Several workers in one process."""

from __future__ import annotations

import os
import re
import threading
import time

import pytest

from channels_classic import worker
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import route
from channels_classic.signals import worker_ready
from channels_classic.worker import WorkerGroup
from tests.worker.site import (
    DEADLINE,
    REPORT,
    WORK,
    Team,
    meeting,
    report,
    survives,
    until,
)


def test_two_threads_work_on_two_messages_at_the_same_time(layer):
    both = threading.Barrier(2, timeout=DEADLINE)

    def consumer(message):
        both.wait()
        report(message, thread=threading.current_thread().name)

    team = Team(layer, route(WORK, consumer))
    with team.working():
        team.send()
        team.send()
        threads = {team.received()["thread"] for _ in range(2)}
    assert len(threads) == 2


def test_each_message_goes_to_one_of_the_threads(layer):
    team = Team(layer, route(WORK, report), n_threads=3)
    for number in range(30):
        team.send(number=number)
    with team.working():
        assert sorted(team.received()["number"] for _ in range(30)) == list(range(30))
    assert team.layer.receive([REPORT]) == (None, None)


def test_a_group_stops_when_all_have_finished(layer):
    both = threading.Barrier(3, timeout=DEADLINE)

    def consumer(message):
        both.wait()
        time.sleep(0.1)  # it works
        report(message)

    team = Team(layer, route(WORK, consumer))
    with team.working():
        team.send(number=1)
        team.send(number=2)
        both.wait()
    assert {team.received()["number"] for _ in range(2)} == {1, 2}


def test_the_threads_of_a_group_share_one_event_loop(memory_site):
    team = Team(InMemoryChannelLayer(), route(WORK, meeting(6)), n_threads=3)
    with team.working():
        for number in range(6):
            team.send(number=number)
        assert {team.received()["number"] for _ in range(6)} == set(range(6))


def test_every_thread_of_a_group_is_ready(heard):
    ready = heard(worker_ready)
    team = Team(InMemoryChannelLayer(), route(WORK, report), n_threads=3)
    team.worker.ready()
    assert {id(ready.get_nowait()["sender"]) for _ in range(3)} == {
        id(each) for each in (team.worker, *team.worker.workers)
    }


def test_a_group_has_as_many_threads_as_the_machine_has_cores():
    group = WorkerGroup(None)
    assert 1 + len(group.workers) == os.cpu_count()


@pytest.mark.parametrize("count", [0, -1])
def test_a_group_has_at_least_one_thread(count):
    with pytest.raises(ValueError, match=f"n_threads must be at least 1, not {count}"):
        WorkerGroup(None, n_threads=count)


def test_a_group_takes_what_a_worker_takes():
    group = WorkerGroup(None, None, 3, False, ["a"], ["b"], n_threads=2)
    [other] = group.workers
    for each in (group, other):
        assert (each.message_retries, each.only_channels, each.exclude_channels) == (
            3,
            ["a"],
            ["b"],
        )


def test_a_process_beats_once_for_all_its_threads(monkeypatch):
    layer, names, receivers = InMemoryChannelLayer(), [], []
    beat, receiver = layer.beat, layer.receiver

    def keep_beat(worker, channels, **options):
        names.append(worker)
        return beat(worker, channels, **options)

    def keep_receiver(channels, *, worker):
        receivers.append(worker)
        return receiver(channels, worker=worker)

    layer.beat, layer.receiver = keep_beat, keep_receiver
    team = Team(layer, route(WORK, report), n_threads=3)
    with team.working():
        assert survives(team)
        until(lambda: len(receivers) == 3)
    assert set(names) == set(receivers) == {team.worker.name}


def test_the_name_of_a_worker_says_where_it_runs_and_is_its_own(monkeypatch):
    monkeypatch.setattr(worker.socket, "gethostname", lambda: "my host/" + "x" * 100)
    one, other = worker.worker_name(), worker.worker_name()
    assert re.fullmatch(rf"my-host-x{{22}}-{os.getpid()}-[A-Za-z]{{8}}", one)
    assert one != other
    assert len(one) < 60
