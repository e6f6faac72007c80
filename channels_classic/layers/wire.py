"""What goes over the wire to Redis: the keys, and the commands that put sends on the bus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, NamedTuple

from channels_classic.layers.names import non_local_name
from channels_classic.layers.traffic import Envelope

Command = tuple[Any, ...]

#: The consumer group that all workers of a channel share.
WORKERS = "workers"
#: What waits for a connection that is known to be closed: more than any capacity.
CLOSED = 2**40
#: Replies in one entry at most; Lua passes them on as arguments, of which it takes about 8,000.
_REPLIES = 1000


class Script(NamedTuple):
    """One Lua script: its text and the digest it is called by."""

    text: str
    digest: str

    def command(self, keys: Sequence[str], args: Iterable[Any]) -> Command:
        """The command that runs the script."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)


def _script(name: str) -> Script:
    text = resources.files(__package__).joinpath(f"lua/{name}.lua").read_text("utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


SEND = _script("send")
REPLY = _script("reply")
SEND_GROUP = _script("send_group")
JOIN = _script("join")
LEAVE = _script("leave")
TAKE = _script("take")
TAKE_INBOX = _script("take_inbox")
DRAINED = _script("drained")
ANNOUNCE = _script("announce")
ALIVE = _script("alive")
#: Loaded by every new connection, so that no call finds its script missing.
SCRIPTS = (SEND, REPLY, SEND_GROUP, JOIN, LEAVE, TAKE, TAKE_INBOX, DRAINED, ANNOUNCE, ALIVE)


class Keys:
    """The names of the keys, after ``prefix``; keys of one script share the part in braces."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.inbox_prefix = f"{prefix}inbox:"

    def channel(self, name: str) -> str:
        """Stream: the messages of a plain channel."""
        return f"{self.prefix}channel:{{{name}}}"

    def stats(self, name: str) -> str:
        """Hash: the counters of a channel, or of a process with all its connections."""
        return f"{self.prefix}stats:{{{name}}}"

    def inbox(self, process: str) -> str:
        """Stream: everything for the connections of one process."""
        return f"{self.inbox_prefix}{{{process}}}"

    def waiting(self, process: str) -> str:
        """Hash: local to the messages on their way to that connection."""
        return f"{self.prefix}waiting:{{{process}}}"

    def group(self, name: str) -> str:
        """Sorted set: the processes with members in the group, and plain channels."""
        return f"{self.prefix}group:{{{name}}}"

    def members(self, group: str, process: str) -> str:
        """Set: the locals of one process in one group; an empty ``group`` makes the prefix."""
        return f"{self.prefix}members:{{{process}}}:{group}"

    def joined(self, process: str) -> str:
        """Set: the groups in which a process has members."""
        return f"{self.prefix}joined:{{{process}}}"

    def changed(self, process: str) -> str:
        """String: the id of the last join or leave in the inbox of a process."""
        return f"{self.prefix}changed:{{{process}}}"

    def workers(self, channel: str) -> str:
        """Sorted set: the workers that read a channel, by when they are to be heard of again."""
        return f"{self.prefix}workers:{{{channel}}}"


class Step(NamedTuple):
    """One command that carries some sends, all for one destination."""

    command: Command
    envelopes: list[Envelope]

    def refused(self, reply: Any) -> list[Envelope]:
        """The sends that found their channel full, by what the script answered."""
        if self.envelopes[0].to_group:
            return []
        if isinstance(reply, int):
            return self.envelopes[reply:]
        return [self.envelopes[int(index)] for index in reply]

    def forwards(self, reply: Any) -> list[Envelope]:
        """The sends still to be made for the plain channels that are members of the group."""
        if not self.envelopes[0].to_group:
            return []
        return [Envelope(name.decode(), self.envelopes[0].payload) for name in reply]


class Planner:
    """Turns sends into as few commands as keep their order towards every destination."""

    def __init__(
        self, keys: Keys, capacity: Any, *, expiry_ms: int, lives_ms: int, inbox_limit: int
    ) -> None:
        self.keys = keys
        self.capacity = capacity
        self.expiry_ms = expiry_ms
        self.lives_ms = lives_ms
        self.inbox_limit = inbox_limit

    def steps(self, envelopes: Iterable[Envelope]) -> list[Step]:
        """The commands for ``envelopes``.

        Sends to one destination travel together; a group's send ends what may travel together,
        because its members' own channels may come after it.
        """
        steps: list[Step] = []
        together: dict[str, list[Envelope]] = {}
        for envelope in envelopes:
            if envelope.to_group:
                steps += self._close(together)
                together = {}
                steps.append(Step(self._group(envelope), [envelope]))
                continue
            name = envelope.name
            batch = together.setdefault(non_local_name(name), [])
            batch.append(envelope)
            if len(batch) >= _REPLIES:
                steps.append(self._one(non_local_name(name), together.pop(non_local_name(name))))
        return steps + self._close(together)

    def _close(self, together: dict[str, list[Envelope]]) -> list[Step]:
        return [self._one(name, batch) for name, batch in together.items()]

    def _one(self, name: str, batch: list[Envelope]) -> Step:
        command = self._reply(name, batch) if name.endswith("!") else self._send(name, batch)
        return Step(command, batch)

    def _send(self, name: str, batch: list[Envelope]) -> Command:
        keys = [self.keys.channel(name)]
        if "?" not in name:
            keys.append(self.keys.stats(name))
        limits = (self.capacity(name), self.expiry_ms, self.lives_ms)
        return SEND.command(keys, (*limits, *(envelope.payload for envelope in batch)))

    def _reply(self, process: str, batch: list[Envelope]) -> Command:
        keys = (self.keys.inbox(process), self.keys.waiting(process), self.keys.stats(process))
        args: list[Any] = [self.capacity(process), self.expiry_ms, self.lives_ms]
        for envelope in batch:
            args += (envelope.name[len(process) :], envelope.payload)
        return REPLY.command(keys, args)

    def _group(self, envelope: Envelope) -> Command:
        args = (
            envelope.name,
            envelope.payload,
            self.keys.inbox_prefix,
            self.inbox_limit,
            self.lives_ms,
        )
        return SEND_GROUP.command([self.keys.group(envelope.name)], args)
