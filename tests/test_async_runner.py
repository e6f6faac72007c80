"""The event loop beside the worker threads."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from channels_classic import async_runner as async_runner_module
from channels_classic.async_runner import AsyncRunner

DEADLINE = 30


@pytest.fixture
def runner():
    made = AsyncRunner()
    yield made
    made.close()


def event_setter(event):
    async def run():
        event.set()

    return run


def test_a_coroutine_is_run(runner):
    done = threading.Event()
    runner.start(event_setter(done))
    assert done.wait(DEADLINE)


def test_it_is_run_on_another_thread(runner):
    threads, done = [], threading.Event()

    async def run():
        threads.append(threading.current_thread())
        done.set()

    runner.start(run)
    assert done.wait(DEADLINE)
    assert threads[0] is not threading.current_thread()


def test_there_is_no_thread_before_it_is_needed():
    before = threading.active_count()
    AsyncRunner().close()
    assert threading.active_count() == before


def test_coroutines_run_at_the_same_time(runner):
    here, done = [], threading.Event()
    complete = asyncio.Event()

    async def meet():
        here.append(1)
        if len(here) == 3:
            complete.set()
        await complete.wait()
        done.set()

    for _ in range(3):
        runner.start(meet)
    assert done.wait(DEADLINE)


def test_an_error_is_logged_and_the_loop_goes_on(runner, caplog):
    done = threading.Event()

    async def fail():
        raise RuntimeError("broken")

    runner.start(fail)
    runner.start(event_setter(done))
    assert done.wait(DEADLINE)
    assert "Error around an async consumer" in caplog.text


def test_no_more_run_at_once_than_there_are_places():
    runner = AsyncRunner(concurrency=2)
    goes_on, third = threading.Event(), threading.Event()

    async def wait():
        await asyncio.to_thread(goes_on.wait, DEADLINE)

    for _ in range(2):
        runner.start(wait)
    starting = threading.Thread(target=runner.start, args=[event_setter(third)])
    starting.start()
    starting.join(0.05)
    assert starting.is_alive()
    goes_on.set()
    assert third.wait(DEADLINE)
    starting.join()
    runner.close()


def test_a_failed_coroutine_gives_its_place_back():
    runner = AsyncRunner(concurrency=1)
    done = threading.Event()

    async def fail():
        raise RuntimeError

    runner.start(fail)
    runner.start(event_setter(done))
    assert done.wait(DEADLINE)
    runner.close()


def test_what_runs_is_finished_before_the_end():
    runner, order = AsyncRunner(), []

    async def run():
        await asyncio.sleep(0.05)
        order.append("finished")

    async def last():
        order.append("last")

    runner.start(run)
    runner.close(last=last)
    assert order == ["finished", "last"]


def test_what_takes_too_long_is_cancelled_with_a_log_line(monkeypatch, caplog):
    monkeypatch.setattr(async_runner_module, "GRACE", 0.02)
    runner, cancelled = AsyncRunner(), threading.Event()

    async def run():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    runner.start(run)
    began = time.monotonic()
    runner.close()
    assert cancelled.is_set()
    assert time.monotonic() - began < 5
    assert "took longer than 0 s to finish: cancelled" in caplog.text


def test_the_thread_ends():
    runner, done = AsyncRunner(), threading.Event()
    runner.start(event_setter(done))
    thread = runner._thread
    runner.close()
    assert not thread.is_alive()


def test_an_error_of_the_last_step_is_logged(caplog):
    runner, done = AsyncRunner(), threading.Event()

    async def last():
        raise RuntimeError("no bus")

    runner.start(event_setter(done))
    runner.close(last=last)
    assert "Async consumers did not end well" in caplog.text
    assert not runner._thread.is_alive()
