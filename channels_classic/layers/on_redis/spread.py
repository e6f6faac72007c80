"""Several shards as one bus: what goes where, and sends to groups across them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.names import non_local_name
from channels_classic.layers.on_redis.presence import left_alone
from channels_classic.layers.on_redis.ring import is_misplaced
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import ALIVE, LOADS, MEMBERS, POST, Command, Keys
from channels_classic.layers.traffic import Envelope, Load

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

T = TypeVar("T")

#: Receipts that are kept, at most, and the pause between two tries to send them, in seconds.
_RECEIPTS, _PAUSE = 10_000, 0.5
_ADVICE = "add workers, or raise capacity"


class Job(NamedTuple):
    """Sends to one shard, or commands for it."""

    shard: Shard
    envelopes: Sequence[Envelope] = ()
    commands: Sequence[Command] = ()


#: Jobs to do at the same time; each result is the refused sends, the replies, or the error.
Steps = Generator[list[Job], list[Any], list[Envelope]]


class Fate:
    """What has become of the sends of one ``deliver``."""

    def __init__(self) -> None:
        #: Sends to make again: they were refused, or never went.
        self.again: list[Envelope] = []
        #: Names of those that may have gone, or not.
        self.in_doubt: Tally[str] = Tally()
        self.counts: Tally[tuple[str, Counter]] = Tally()
        #: Receipts that did not go, or perhaps did: twice is no harm.
        self.receipts: list[Envelope] = []
        self.was_served = False
        self.problem: LayerUnavailable | None = None

    def left(self, envelopes: Sequence[Envelope], result: Any) -> list[Envelope]:
        """Those of ``envelopes`` that are to be made again, after an attempt with this result."""
        if not isinstance(result, LayerUnavailable):
            self.was_served = True
            return list(result)
        self.problem = result
        self.receipts += filter(_is_receipt, envelopes)
        messages = [envelope for envelope in envelopes if not _is_receipt(envelope)]
        if not result.in_doubt:
            return messages
        again = [envelope for envelope in messages if envelope.attempts]  # better than never
        self.in_doubt.update(non_local_name(e.name) for e in messages if not e.attempts)
        return again

    def note(self, name: str, counter: Counter, number: int = 1) -> None:
        """Count what happened to sends to ``name``."""
        self.counts[name, counter] += number

    def error(self) -> LayerUnavailable | None:
        """What to raise: if nothing went for sure, and all of it shares one fate."""
        is_one_fate = bool(self.again) != bool(self.in_doubt)
        if self.problem is None or self.was_served or not is_one_fate:
            return None
        return LayerUnavailable(str(self.problem), in_doubt=bool(self.in_doubt))


class Spread:
    """Plain channels take the shards in turn; all else is where its name says.

    A plain channel goes to the next shard when one is full or does not answer. What is for a
    shard that is away is refused, so that senders try again, unless nothing of it went at all:
    then ``LayerUnavailable`` says so. Sends in doubt are counted here when others went well.
    Receipts are kept until their shard is back: without them lanes would wait for ever.
    """

    def __init__(self, layer: RedisChannelLayer, shards: Sequence[Shard]) -> None:
        self._layer = layer
        self.shards = shards
        self.presence = layer.presence
        self._turns = itertools.cycle(range(len(shards)))
        self._receipts: deque[Envelope] = deque(maxlen=_RECEIPTS)
        self._receipts_at = 0.0

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """``deliver`` of the channel layer."""
        steps = self._steps(envelopes)
        try:
            jobs = next(steps)
            while True:
                jobs = steps.send([self._do(job) for job in jobs])
        except StopIteration as stop:
            refused: list[Envelope] = stop.value
            return refused

    def _do(self, job: Job, *, again: bool = True) -> Any:
        if self.presence.is_away(job.shard):
            return left_alone(job.shard)
        try:
            with self.presence.noted(job.shard):
                if job.envelopes:
                    return job.shard.deliver(job.envelopes)
                return job.shard.call(*job.commands)
        except LayerUnavailable as error:
            if again and _has_moved(error):
                return self._do(job, again=False)
            return error

    async def deliver_async(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """``deliver`` for an event loop."""
        steps = self._steps(envelopes)
        try:
            jobs = next(steps)
            while True:
                jobs = steps.send(await asyncio.gather(*map(self._do_async, jobs)))
        except StopIteration as stop:
            refused: list[Envelope] = stop.value
            return refused

    async def _do_async(self, job: Job, *, again: bool = True) -> Any:
        if self.presence.is_away(job.shard):
            return left_alone(job.shard)
        try:
            with self.presence.noted(job.shard):
                if job.envelopes:
                    return await job.shard.writer().deliver(job.envelopes)
                return await job.shard.writer().call(job.commands)
        except LayerUnavailable as error:
            if again and _has_moved(error):
                return await self._do_async(job, again=False)
            return error

    # What to do -------------------------------------------------------------------------

    def _steps(self, envelopes: Sequence[Envelope]) -> Steps:
        fate = Fate()
        for part in _parts(envelopes):
            if part[0].to_group:
                yield from self._to_group(part[0], fate)
            else:
                fate.again += yield from self._to_channels(part, fate)
        self._receipts.extend(fate.receipts)
        if self._receipts and time.monotonic() >= self._receipts_at:
            yield from self._tell()
        if error := fate.error():
            raise error
        for name, number in fate.in_doubt.items():
            fate.note(name, Counter.IN_DOUBT, number)
        if fate.counts:
            yield self._count(fate)
        return fate.again

    def _tell(self) -> Generator[list[Job], list[Any], None]:
        """Send the receipts that are left, now and then."""
        self._receipts_at = time.monotonic() + _PAUSE
        told = [self._receipts.popleft() for _ in range(len(self._receipts))]
        fate, jobs = Fate(), self._by_shard(told, self.shards[0])
        for job, result in zip(jobs, (yield jobs), strict=True):
            fate.left(job.envelopes, result)
        self._receipts.extend(fate.receipts)

    def _to_channels(self, envelopes: Sequence[Envelope], fate: Fate) -> Steps:
        """The sends that found no place; plain channels are tried on one shard after another."""
        turn = next(self._turns)  # one for all: sends to one channel keep their order
        first, *others = (*self.shards[turn:], *self.shards[:turn])
        jobs = self._by_shard(envelopes, first)
        results = yield jobs
        stuck: list[Envelope] = []
        left: list[Envelope] = []
        for job, result in zip(jobs, results, strict=True):
            is_away = isinstance(result, LayerUnavailable)
            for envelope in fate.left(job.envelopes, result):
                may_move = _is_plain(envelope) and (is_away or self._is_shared(envelope))
                (left if may_move else stuck).append(envelope)
        for shard in others if left else ():
            [result] = yield [Job(shard, left)]
            results.append(result)
            if not (left := fate.left(left, result)):
                break
        if not all(isinstance(each, LayerUnavailable) for each in results):
            for envelope in filter(self._is_shared, left):
                fate.note(envelope.name, Counter.FULL)
        return stuck + left

    def _is_shared(self, envelope: Envelope) -> bool:
        """Whether a full shard leaves it to the others, and leaves the counting to us."""
        return not envelope.delay and self._layer.get_overflow(envelope.name) == "refuse"

    def _by_shard(self, envelopes: Sequence[Envelope], turn: Shard) -> list[Job]:
        found: dict[Shard, list[Envelope]] = {}
        for envelope in envelopes:
            shard = turn if _is_plain(envelope) else self._layer.shard_of(envelope.name)
            found.setdefault(shard, []).append(envelope)
        return [Job(shard, batch) for shard, batch in found.items()]

    def _count(self, fate: Fate) -> list[Job]:
        """The counters of a channel are summed over the shards: any will do that answers."""
        shard, *_ = self.presence.present()
        for (name, counter), number in fate.counts.items():
            detail = _ADVICE if counter is Counter.FULL else str(fate.problem)
            self._layer.note(name, counter, number, detail=detail)
        commands = [shard.count_command(*what, number) for what, number in fate.counts.items()]
        return [Job(shard, commands=commands)]

    # Groups -----------------------------------------------------------------------------

    def members(self, group: str) -> list[str]:
        """The processes and plain channels in a group."""
        shard = self._layer.shard_of(group)
        return _names(shard.call(_members(shard, group)))

    def _to_group(self, envelope: Envelope, fate: Fate) -> Generator[list[Job], list[Any], None]:
        """One write for each process; plain channels that are full are passed over."""
        shard = self._layer.shard_of(envelope.name)
        [found] = yield [Job(shard, commands=[_members(shard, envelope.name)])]
        if isinstance(found, LayerUnavailable):
            fate.problem = found
            fate.again.append(envelope)
            return
        names = _names(found)
        processes = [name for name in names if name.endswith("!")]
        if processes and not (yield from self._post(envelope, processes, fate)):
            return
        plain = [Envelope(name, envelope.payload) for name in names if not name.endswith("!")]
        if plain:
            yield from self._to_channels(plain, fate)

    def _post(
        self, envelope: Envelope, processes: Sequence[str], fate: Fate
    ) -> Generator[list[Job], list[Any], bool]:
        """Whether any of ``processes`` may have got it."""
        by_shard: dict[Shard, list[str]] = {}
        for process in processes:
            by_shard.setdefault(self._layer.shard_of(process), []).append(process)
        jobs = [
            Job(shard, commands=[_post(shard, process, envelope) for process in own])
            for shard, own in by_shard.items()
        ]
        results = yield jobs
        if all(isinstance(each, LayerUnavailable) and not each.in_doubt for each in results):
            fate.problem = results[0]
            fate.again.append(envelope)
            return False
        fate.was_served = True  # some may have got it: it cannot be sent to the others alone
        for own, result in zip(by_shard.values(), results, strict=True):
            if isinstance(result, LayerUnavailable):
                fate.problem = result
                counter = Counter.IN_DOUBT if result.in_doubt else Counter.MISSED
                for process in own:
                    fate.note(process, counter)
                continue
            for process, took in zip(own, result, strict=True):
                if not took:  # which is counted there
                    self._layer.note(process, Counter.MISSED, detail="it does not read its inbox")
        return True

    # Other calls ------------------------------------------------------------------------

    def each(self, verb: Callable[[Shard], T], shards: Sequence[Shard] | None = None) -> list[T]:
        """What ``verb`` returns for each of ``shards``, or of all, that answers.

        ``LayerUnavailable`` if none does.
        """
        results: list[T] = []
        problem: LayerUnavailable | None = None
        for shard in self.shards if shards is None else shards:
            try:
                with self.presence.noted(shard):
                    results.append(verb(shard))
            except LayerUnavailable as error:
                problem = error
        if problem is not None and not results:
            raise problem
        return results

    def call(self, shard: Shard, *commands: Command) -> list[Any]:
        """The replies of one shard, or ``LayerUnavailable``: at once when it is away."""
        result = self._do(Job(shard, commands=commands))
        if isinstance(result, LayerUnavailable):
            raise result
        return list(result)

    async def has_worker(self, channel: str) -> bool:
        """``has_worker`` of the channel layer: workers read all the shards."""
        found = await self._ask_each(
            lambda keys: [ALIVE.command([keys.workers(channel)], [])],
        )
        return any(replies[0] for replies in found)

    async def loads(self, channels: Sequence[str]) -> dict[str, Load]:
        """``loads`` of the channel layer: plain channels are on all the shards."""
        if not channels:
            return {}
        found = await self._ask_each(lambda keys: [load_command(keys, name) for name in channels])
        by_channel = zip(*found, strict=True)
        return {name: summed_load(each) for name, each in zip(channels, by_channel, strict=True)}

    async def _ask_each(self, commands: Callable[[Keys], list[Command]]) -> list[Sequence[Any]]:
        """The replies of each shard that answers; ``LayerUnavailable`` when none does."""
        jobs = [Job(shard, commands=commands(shard.keys)) for shard in self.presence.present()]
        results = await asyncio.gather(*map(self._do_async, jobs))
        answers = [each for each in results if not isinstance(each, LayerUnavailable)]
        if not answers:
            raise results[0]
        return answers

    def count(self, channel: str, counter: Counter, number: int) -> None:
        """``count`` of the channel layer, on a shard that answers."""
        shard, *_ = self.presence.present()
        with self.presence.noted(shard):
            shard.call(shard.count_command(channel, counter, number))


def load_command(keys: Keys, channel: str) -> Command:
    """The command that asks for the load of a channel."""
    return LOADS.command([keys.channel(channel), keys.stats(channel), keys.workers(channel)], [])


def summed_load(loads: Iterable[Sequence[int]]) -> Load:
    """Each shard has its own messages; a worker reads all of them."""
    waiting, oldest, completed, workers = zip(*loads, strict=True)
    return Load(sum(waiting), max(oldest) / 1000, sum(completed), max(workers))


def _members(shard: Shard, group: str) -> Command:
    return MEMBERS.command([shard.keys.group(group)], [])


def _names(replies: Sequence[Any]) -> list[str]:
    [names] = replies
    return [name.decode("ascii", "replace") for name in names]


def _post(shard: Shard, process: str, envelope: Envelope) -> Command:
    keys = [shard.keys.inbox(process), shard.keys.stats(process)]
    limits = (shard.planner.inbox_limit, shard.planner.inbox_lives(process))
    return POST.command(keys, [envelope.name, envelope.payload, *limits])


def _is_plain(envelope: Envelope) -> bool:
    return "!" not in envelope.name and "?" not in envelope.name


def _is_receipt(envelope: Envelope) -> bool:
    """Whether it tells a lane that its message has been dealt with."""
    return "!=" in envelope.name


def _has_moved(error: LayerUnavailable) -> bool:
    """Whether the shard has just turned out to be elsewhere, so that the next call finds it."""
    cause = error.__cause__
    return not error.in_doubt and isinstance(cause, Exception) and is_misplaced(cause)


def _parts(envelopes: Sequence[Envelope]) -> Iterator[list[Envelope]]:
    """Sends in runs that may go at once; a send to a group goes alone."""
    run: list[Envelope] = []
    for envelope in envelopes:
        if envelope.to_group:
            if run:
                yield run
            yield [envelope]
            run = []
        else:
            run.append(envelope)
    if run:
        yield run
