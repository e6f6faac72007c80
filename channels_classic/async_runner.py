"""The event loop beside the worker threads, on which ``async def`` consumers run."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, NamedTuple

from channels_classic.layers.traffic import Delivery

logger = logging.getLogger("channels_classic.worker")

#: Consumers on the loop at once; a worker thread waits when there are as many.
CONCURRENCY = 100
#: How long consumers may take to finish when the worker stops, in seconds.
GRACE = 30.0


class Running(NamedTuple):
    """What a coroutine is for, and since when it runs, by the monotonic clock."""

    delivery: Delivery
    consumer: Callable[..., Any]
    began: float


class AsyncRunner:
    """Runs coroutines on a thread of its own, which starts with the first of them."""

    def __init__(self, *, concurrency: int = CONCURRENCY) -> None:
        self._places = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._running: dict[object, Running] = {}

    @property
    def running(self) -> list[Running]:
        """What runs now, of what was said for what it is."""
        return list(self._running.values())

    def start(
        self, make: Callable[[], Coroutine[Any, Any, None]], about: Running | None = None
    ) -> Future[None]:
        """Run what ``make`` returns, which is for ``about``; waits while too many run already."""
        self._places.acquire()
        return asyncio.run_coroutine_threadsafe(self._run(make, about), self._ready_loop())

    async def _run(
        self, make: Callable[[], Coroutine[Any, Any, None]], about: Running | None
    ) -> None:
        key = object()
        if about is not None:
            self._running[key] = about
        try:
            await make()
        except Exception:
            logger.exception("Error around an async consumer")
        finally:
            self._running.pop(key, None)
            self._places.release()

    def _ready_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="async consumers", daemon=True
                )
                self._thread.start()
            return self._loop

    def close(self, *, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Let the consumers finish, for ``GRACE`` seconds at most, run ``last``, end the thread."""
        if self._loop is None or self._thread is None:
            return
        future = asyncio.run_coroutine_threadsafe(_finish(last), self._loop)
        try:
            future.result(GRACE + 5)
        except Exception:
            logger.exception("Async consumers did not end well")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _finish(last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=GRACE)
        for task in late:
            logger.error("An async consumer took longer than %.0f s to finish: cancelled", GRACE)
            task.cancel()
        if late:
            await asyncio.wait(late)
    if last is not None:
        await last()
