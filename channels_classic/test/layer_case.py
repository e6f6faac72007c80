"""What all conformance checks share: the channel layer, its limits, and readers with deadlines."""

# ruff: noqa: PT009, PT027 - unittest must do: pytest is not installed with the package

from __future__ import annotations

import asyncio
import threading
import time
import unittest
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import Inbox, Receiver
from channels_classic.layers.names import non_local_name, random_letters
from channels_classic.layers.traffic import Content, Delivery

Taken = list[tuple[str, Content]]


class LayerTestCase(unittest.TestCase):
    """The attributes and hooks by which a channel layer describes itself to the checks."""

    #: The classes with the checks are not collected themselves; their subclasses are.
    __test__: ClassVar[bool] = False

    #: The channel layer to check. Required; may be set in ``setUp`` before it calls this one's.
    channel_layer: BaseChannelLayer | None = None
    #: The seconds after which a message of ``channel_layer`` has surely expired. Required.
    expiry_delay: float | None = None
    #: The capacity of every channel; the checks of capacity are left out without it.
    capacity_limit: int | None = None
    #: What the names of channels begin with whose messages never expire (an expiry of None); and
    #: of those that drop their oldest message for a new one. Their checks are left out without.
    forever: str | None = None
    dropping: str | None = None
    #: Whether a channel that workers read hands out its messages in the order of the sends; with
    #: several stores, which take turns, it does not.
    in_order: bool = True
    #: How often a receive may come back empty from a channel that is not.
    receive_tries: int = 1
    #: How long a check waits, in seconds, before it says that something does not come.
    patience: float = 20.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__test__" not in cls.__dict__:
            cls.__test__ = True

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not cls.__test__:
            raise unittest.SkipTest(f"{cls.__name__} is for subclasses that set a channel layer")

    def setUp(self) -> None:
        super().setUp()
        if self.channel_layer is None or self.expiry_delay is None:
            raise ValueError(
                f"{type(self).__name__} must set channel_layer, the layer to check, and "
                "expiry_delay, the seconds after which its messages have expired"
            )
        self.layer = self.channel_layer
        if "flush" in self.layer.extensions:
            self.layer.flush()
            self.addCleanup(self.layer.flush)

    # Hooks ----------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` pass; for a layer whose clock can be moved, override this."""
        time.sleep(seconds)

    def count_writes(self) -> int | None:
        """How many writes the layer's store has seen so far; None when nobody can tell."""
        return None

    def put_garbage(self, channel: str) -> bool:
        """Put entries that are no messages where those of ``channel`` are kept.

        For a name with ``!`` that is the inbox of its process. False when there is no such place.
        """
        return False

    # What the checks are made of --------------------------------------------------------

    def require(self, extension: str) -> None:
        """Leave the check out unless the layer has the extension."""
        if extension not in self.layer.extensions:
            self.skipTest(f"the layer has no {extension}")

    def require_own(self, method: str) -> None:
        """Leave the check out when the layer has the default of ``method``, which promises less."""
        if getattr(type(self.layer), method) is getattr(BaseChannelLayer, method):
            self.skipTest(f"the layer has no {method}() of its own")

    def require_trait(self, name: str) -> None:
        """Leave the check out unless the layer has ``receipts``, ``later`` or ``attachments``."""
        if not getattr(self.layer, name):
            self.skipTest(f"the layer has no {name}")

    def named(self, attribute: str) -> str:
        """A fresh name of the kind ``attribute``; leaves the check out when none is set."""
        prefix = getattr(self, attribute)
        if prefix is None:
            self.skipTest(f"no {attribute} is set")
        return self.fresh(f"{prefix}.test")

    def limit(self) -> int:
        """The capacity; leaves the check out when it is not known."""
        if self.capacity_limit is None:
            self.skipTest("no capacity_limit is set")
        return self.capacity_limit

    def arranged(self, name: str, numbers: list[int]) -> list[int]:
        """``numbers`` as they came from ``name``, sorted if that channel has no order."""
        return numbers if self.in_order or "!" in name or "?" in name else sorted(numbers)

    def fresh(self, name: str) -> str:
        """A name that no other check has used; an ending with ``!`` or ``?`` stays at the end."""
        base = name.rstrip("!?")
        return f"{base}.{random_letters(6)}{name[len(base) :]}"

    def plain_and_process(self, base: str) -> list[tuple[str, str]]:
        """A channel of each kind, with the name by which it is received."""
        plain, process = self.fresh(base), self.fresh(f"{base}!")
        return [(plain, plain), (process + "a", process)]

    def receive(self, names: Sequence[str]) -> tuple[str | None, Content | None]:
        """``receive``, asked up to ``receive_tries`` times."""
        for _ in range(self.receive_tries):
            name, content = self.layer.receive(list(names))
            if name is not None:
                return name, content
        return None, None

    def take(self, names: Sequence[str], count: int) -> Taken:
        """The next ``count`` messages, which are there."""
        taken: Taken = []
        while len(taken) < count:
            name, content = self.receive(names)
            if name is None or content is None:
                self.fail(f"{len(taken)} of {count} messages could be received from {names}")
            taken.append((name, content))
        return taken

    def assert_nothing(self, names: Sequence[str]) -> None:
        """No message waits on any of ``names``."""
        self.assertEqual(self.receive(names), (None, None))

    def assert_full(self, name: str) -> None:
        """One more send to ``name`` is refused."""
        with self.assertRaises(self.layer.ChannelFull):
            self.layer.send(name, {"one": "too many"})

    def send_in_time(self, name: str, content: Content) -> None:
        """Send, again and again while the channel is full."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return self.layer.send(name, content)
            except self.layer.ChannelFull:
                if time.monotonic() > end:
                    raise
                time.sleep(0.001)

    def until(self, condition: Callable[[], bool], text: str) -> None:
        """Wait for ``condition`` to become true, or fail with ``text``."""
        end = time.monotonic() + self.patience
        while not condition():
            self.assertLess(time.monotonic(), end, text)
            time.sleep(0.01)

    def until_counted(self, name: str, counter: Counter, number: int) -> None:
        """Wait until ``counter`` of the channel, or process, is ``number``."""

        def counted() -> float:
            return self.layer.channel_statistics(name).get(counter, 0)

        self.until(lambda: counted() >= number, f"{name} has no {counter} of {number}")
        self.assertEqual(counted(), number)

    def together(self, *jobs: Callable[[], None]) -> None:
        """Run every job on a thread of its own; an error in one of them is raised here."""
        threads = [_Job(job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.finish(self.patience * 4)

    def start(self, job: Callable[[], None]) -> _Job:
        """A thread that runs ``job``; call ``finish`` on it."""
        thread = _Job(job)
        thread.start()
        return thread

    def run_async(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run ``coroutine`` on an event loop, and let go of the connections of that loop."""
        layer = self.layer

        async def main() -> None:
            try:
                await asyncio.wait_for(coroutine, self.patience * 4)
            finally:
                await layer.close_async()

        asyncio.run(main())

    # The two ends of the bus ------------------------------------------------------------

    def receiver(self, *names: str, worker: str = "") -> Receiver:
        """A worker's end that is closed when the check is over."""
        receiver = self.layer.receiver(names, worker=worker)
        self.addCleanup(receiver.close)
        return receiver

    def exchange_all(self, receiver: Receiver, count: int, *, limit: int = 8) -> list[Any]:
        """The next ``count`` deliveries, each acknowledged by the exchange after it."""
        taken: list[Any] = []
        done: list[Any] = []
        end = time.monotonic() + self.patience
        while len(taken) < count:
            if time.monotonic() > end:
                self.fail(f"{len(taken)} of {count} messages came")
            done = receiver.exchange(done=done, sends=[], limit=limit, timeout=0.2).deliveries
            taken += done
        receiver.settle(done, [])
        return taken

    def take_delivery(self, receiver: Receiver) -> Delivery:
        """The next delivery, not yet acknowledged."""
        found: list[Delivery] = []

        def take() -> bool:
            found.extend(receiver.exchange(done=[], sends=[], limit=1, timeout=0.2).deliveries)
            return bool(found)

        self.until(take, "a message has not come")
        return found[0]

    async def read(self, inbox: Inbox, count: int) -> Taken:
        """The next ``count`` messages for connections of the process, with full names.

        What was sent to a connection directly is reported ``drained``.
        """
        taken: Taken = []
        try:
            async with asyncio.timeout(self.patience):
                while len(taken) < count:
                    for arrival in await inbox.read():
                        for local in arrival.locals:
                            taken.append((inbox.process + local, arrival.content))
                            if arrival.direct:
                                inbox.drained(local)
        except TimeoutError:
            self.fail(f"{len(taken)} of {count} messages came")
        return taken


class _Job(threading.Thread):
    """A thread that hands its error to whoever waits for it."""

    def __init__(self, job: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._job = job
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._job()
        except BaseException as error:  # for the thread that waits
            self._error = error

    def finish(self, timeout: float) -> None:
        """Wait for the end of the job; raises its error."""
        self.join(timeout)
        if self._error is not None:
            raise self._error
        if self.is_alive():
            raise AssertionError(f"a thread is still busy after {timeout:g} s")


def by_name(taken: Taken, key: str = "number") -> dict[str, list[Any]]:
    """What each channel got, in order."""
    found: dict[str, list[Any]] = {}
    for name, content in taken:
        found.setdefault(name, []).append(content[key])
    return found


def process_of(names: Sequence[str]) -> str:
    """The one process that the reply channels ``names`` belong to."""
    [process] = {non_local_name(name) for name in names}
    return process


def typed(value: Any) -> Any:
    """``value`` with the types of all its parts, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [typed(item) for item in value]
    return type(value).__name__, value
