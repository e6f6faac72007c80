"""What code of Channels 1 knows of workers."""

from __future__ import annotations

import signal

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.worker import Worker, WorkerGroup


def test_only_the_first_of_a_group_has_signal_handlers():
    group = WorkerGroup(None, n_threads=3)
    assert [each.signal_handlers for each in (group, *group.workers)] == [True, False, False]


def test_a_worker_takes_its_arguments_in_the_old_order():
    worker = Worker(None, print, 3, False, ["a*"], ["ab"])
    assert (worker.callback, worker.message_retries, worker.signal_handlers) == (print, 3, False)
    assert worker.apply_channel_filters(["aa", "ab", "b"]) == ["aa"]


def test_unless_told_a_message_is_retried_ten_times():
    assert Worker(None).message_retries == 10


def test_a_worker_may_be_told_by_termed_to_end():
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    worker = Worker(wrapper, signal_handlers=False)
    worker.termed = True
    worker.run()
    assert worker.termed


def test_signal_handlers_can_be_installed_by_hand(monkeypatch):
    installed = {}
    monkeypatch.setattr(signal, "signal", installed.__setitem__)
    worker = Worker(None)
    worker.install_signal_handler()
    assert installed == dict.fromkeys((signal.SIGTERM, signal.SIGINT), worker.sigterm_handler)
