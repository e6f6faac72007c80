"""The first signal asks, the second insists."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from channels_classic.stopping import on_stop

NUMBERS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def handlers():
    """The handlers of the test run, which come back whatever a test does."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


def now():
    return {number: signal.getsignal(number) for number in NUMBERS}


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_asks(number):
    asked = []
    with on_stop(lambda: asked.append(number)):
        os.kill(os.getpid(), number)
    assert asked == [number]


def test_the_handlers_that_were_there_come_back(handlers):
    with on_stop(lambda: None):
        assert now() != handlers
    assert now() == handlers


def test_they_come_back_after_an_error_too(handlers):
    with pytest.raises(RuntimeError), on_stop(lambda: None):
        raise RuntimeError
    assert now() == handlers


def test_who_does_not_want_handlers_gets_none(handlers):
    with on_stop(lambda: None, wanted=False):
        assert now() == handlers


def test_in_another_thread_the_block_just_runs(handlers):
    found = []

    def run():
        with on_stop(lambda: None):
            found.append(now())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [handlers]


def test_a_handler_that_was_not_pythons_is_replaced_by_the_default(monkeypatch, handlers):
    real = signal.signal
    monkeypatch.setattr(signal, "signal", lambda number, handler: real(number, handler) and None)
    with on_stop(lambda: None):
        pass
    assert set(now().values()) == {signal.SIG_DFL}


@pytest.mark.parametrize("first", NUMBERS)
@pytest.mark.parametrize("second", NUMBERS)
def test_the_second_signal_ends_the_process_at_once(first, second):
    code = f"""
import os
from channels_classic.stopping import on_stop
try:
    with on_stop(lambda: print("asked", flush=True)):
        os.kill(os.getpid(), {int(first)})
        os.kill(os.getpid(), {int(second)})
        print("still there")
finally:
    print("cleaned up")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (128 + second, "asked\n")
