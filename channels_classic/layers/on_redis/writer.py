"""What one event loop writes to Redis: everything of one turn of the loop in one round trip."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, NamedTuple

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.on_redis.links import AsyncLink, good
from channels_classic.layers.on_redis.plan import Planner, Step
from channels_classic.layers.on_redis.ring import Node
from channels_classic.layers.on_redis.wire import DRAINED, Command, Keys
from channels_classic.layers.traffic import Envelope

logger = logging.getLogger("channels_classic.layers")

#: Reports of what was drained wait so long, in seconds, for a send that takes them along.
REPORT_WITHIN = 0.01

_Outcome = asyncio.Future[tuple[list[Envelope], list[Any]]]


class _Order(NamedTuple):
    """What one caller wants written; the outcome is the refused sends and the replies."""

    envelopes: Sequence[Envelope]
    commands: Sequence[Command]
    outcome: _Outcome
    #: Whether error replies are replies like others.
    errors: bool = False


class Writer:
    """Gathers the sends of many tasks; while one round trip is under way the next one fills."""

    def __init__(
        self,
        node: Node,
        planner: Planner,
        *,
        forward: Callable[[Sequence[Envelope]], Any] | None = None,
    ) -> None:
        self._node = node
        self._planner = planner
        self._forward = forward
        self._keys: Keys = planner.keys
        self._link = AsyncLink(node)
        self._orders: list[_Order] = []
        self._drained: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._task: asyncio.Task[None] | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._watch: AsyncGenerator[None, None] | None = None

    async def deliver(
        self, envelopes: Sequence[Envelope], commands: Sequence[Command] = ()
    ) -> list[Envelope]:
        """``deliver`` of the channel layer; ``commands`` are carried out after the sends.

        Raises ``LayerUnavailable``.
        """
        refused, _ = await self._order(envelopes, commands)
        return refused

    async def call(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to ``commands``, none of them an error, or ``LayerUnavailable``."""
        return good(self._node.name, await self.ask(commands))

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to ``commands``, errors among them, or ``LayerUnavailable``."""
        _, replies = await self._order((), commands, errors=True)
        return replies

    def post(
        self, commands: Sequence[Command], *, otherwise: Callable[[], None] | None = None
    ) -> None:
        """Carry out ``commands`` soon; nobody waits. ``otherwise`` is called if that failed."""

        def ended(outcome: _Outcome) -> None:
            if not outcome.cancelled() and outcome.exception() is not None and otherwise:
                otherwise()

        self._order((), commands).add_done_callback(ended)

    def drained(self, process: str, local: str, count: int) -> None:
        """Report, soon, that ``count`` messages reached a connection; 0 forgets it."""
        counts = self._drained[process]
        counts[local] = counts.get(local, 0) + count if count else 0
        self._start_soon()

    def _order(
        self, envelopes: Sequence[Envelope], commands: Sequence[Command], *, errors: bool = False
    ) -> _Outcome:
        outcome: _Outcome = asyncio.get_running_loop().create_future()
        own = [Envelope._make(each) for each in envelopes]  # told apart by their ids, see _settle
        self._orders.append(_Order(own, commands, outcome, errors))
        self._start()
        return outcome

    def _start_soon(self) -> None:
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(REPORT_WITHIN, self._start)

    def _start(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        if self._watch is None:
            self._watch = self._until_the_loop_ends()
            await anext(self._watch)
        while True:
            orders, self._orders = self._orders, []
            drained, self._drained = self._drained, defaultdict(dict)
            written = await self._carry_out(orders, drained)
            if not self._orders:
                break
        if self._drained and written:  # else the next order takes them along
            self._start_soon()

    async def _carry_out(self, orders: list[_Order], drained: dict[str, dict[str, int]]) -> bool:
        """Whether it was written; if not, the callers know why."""
        try:
            await self._write(orders, drained)
            return True
        except LayerUnavailable as error:
            for order in orders:
                _fail(order, error)
            self._merge(drained)
        except Exception as error:
            for order in orders:
                _fail(order, error)
            logger.exception("Error while writing to Redis")
        except BaseException:
            for order in orders:
                order.outcome.cancel()
            raise
        return False

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        """Loops close the generators that are left: a loop of one call must not leak its link."""
        try:
            yield
        finally:
            await self._link.close()
            self._task = self._watch = self._soon = None  # these, and a used link, hold the loop
            self._link = AsyncLink(self._node)

    async def _write(self, orders: list[_Order], drained: dict[str, dict[str, int]]) -> None:
        steps = self._planner.steps([e for order in orders for e in order.envelopes])
        commands = [step.command for step in steps]
        commands += [command for order in orders for command in order.commands]
        commands += [self._drained_command(process, drained[process]) for process in drained]
        replies = await self._link.call(commands)
        problems: dict[int, Exception] = {}
        try:
            for step, reply in zip(steps, replies, strict=False):
                await self._settle(step, reply, problems)
        except LayerUnavailable as error:  # all has been written: it is not to be written again
            raise LayerUnavailable(str(error), in_doubt=True) from error
        answers = iter(replies[len(steps) :])
        for order in orders:
            self._report(order, [next(answers) for _ in order.commands], problems)

    async def _settle(self, step: Step, reply: Any, problems: dict[int, Exception]) -> None:
        """Note what went wrong, by the ``id`` of the envelope."""
        if isinstance(reply, Exception):
            problems.update((id(envelope), reply) for envelope in step.envelopes)
            return
        if reply.__class__ is int and reply == len(step.envelopes):
            return  # as nearly always
        refused, more, *_ = self._planner.outcome(step, reply)
        problems.update((id(envelope), ChannelFull()) for envelope in refused)
        if more and self._forward is not None:
            await asyncio.to_thread(self._forward, more)
        elif more:
            await self._link.call([each.command for each in self._planner.steps(more)])

    def _report(self, order: _Order, replies: list[Any], problems: dict[int, Exception]) -> None:
        refused = [e for e in order.envelopes if id(e) in problems] if problems else []
        try:
            if not order.errors:
                good(self._node.name, replies)
            good(
                self._node.name,
                [p for e in refused if not isinstance(p := problems[id(e)], ChannelFull)],
            )
        except LayerUnavailable as error:
            _fail(order, error)
        else:
            if not order.outcome.done():
                order.outcome.set_result((refused, replies))

    def _merge(self, drained: dict[str, dict[str, int]]) -> None:
        """Keep reports that may not have arrived for the next round trip."""
        for process, counts in drained.items():
            newer = self._drained[process]
            for local, count in counts.items():
                is_over = not count or newer.get(local) == 0
                newer[local] = 0 if is_over else count + newer.get(local, 0)

    def _drained_command(self, process: str, counts: dict[str, int]) -> Command:
        args = [arg for pair in counts.items() for arg in pair]
        return DRAINED.command([self._keys.waiting(process)], args)

    async def close(self) -> None:
        """Write what is left and close the connection."""
        if self._drained:
            self._start()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        if self._soon is not None:
            self._soon.cancel()
        await self._link.close()


def _fail(order: _Order, error: Exception) -> None:
    if not order.outcome.done():
        order.outcome.set_exception(error)
