"""What goes over the wire to Redis: the keys, and the scripts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, NamedTuple

Command = tuple[Any, ...]

#: The consumer group that all workers of a channel share.
WORKERS = "workers"
#: What waits for a connection that is known to be closed: more than any capacity.
CLOSED = 2**40


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
LATER = _script("later")
DUE = _script("due")
REPLY = _script("reply")
SEND_GROUP = _script("send_group")
MEMBERS = _script("members")
POST = _script("post")
JOIN = _script("join")
LEAVE = _script("leave")
ENROL = _script("enrol")
RETIRE = _script("retire")
PART = _script("part")
TAKE = _script("take")
TAKE_INBOX = _script("take_inbox")
DRAINED = _script("drained")
ANNOUNCE = _script("announce")
WITHDRAW = _script("withdraw")
ALIVE = _script("alive")
LAPSED = _script("lapsed")
HEARTBEAT = _script("heartbeat")
LEASE = _script("lease")
COUNT = _script("count")
GIVE_BACK = _script("give_back")
BURY = _script("bury")
ATTACH = _script("attach")
LOADS = _script("loads")
REPORT = _script("report")
REPORTS = _script("reports")
#: Loaded by every new connection, so that no call finds its script missing.
SCRIPTS = tuple(each for each in globals().values() if isinstance(each, Script))


class Keys:
    """The names of the keys, after ``prefix``; keys of one script share the part in braces."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.inbox_prefix = f"{prefix}inbox:"
        self.stats_prefix = f"{prefix}stats:"
        self.group_prefix = f"{prefix}group:"
        #: Sorted set: processes by the time in ms at which they must be heard of again.
        self.servers = f"{prefix}servers"
        #: Stream: the dead letters.
        self.dead = f"{prefix}dead"
        #: Hash: what each process says of itself; sorted set: until when that holds.
        self.reports = f"{prefix}reports"
        self.reporting = f"{prefix}reporting"
        #: Stream: what is recorded now and then, for charts.
        self.history = f"{prefix}history"

    def channel(self, name: str) -> str:
        """Stream: the messages of a plain channel."""
        return f"{self.prefix}channel:{{{name}}}"

    def stats(self, name: str) -> str:
        """Hash: the counters of a channel, or of a process with all its connections."""
        return f"{self.stats_prefix}{{{name}}}"

    def later(self, name: str) -> str:
        """Sorted set: delayed messages of a channel or a process, by when they are due."""
        return f"{self.prefix}later:{{{name}}}"

    def inbox(self, process: str) -> str:
        """Stream: everything for the connections of one process."""
        return f"{self.inbox_prefix}{{{process}}}"

    def waiting(self, process: str) -> str:
        """Hash: local to the messages on their way to that connection."""
        return f"{self.prefix}waiting:{{{process}}}"

    def group(self, name: str) -> str:
        """Sorted set: the processes and plain channels in a group."""
        return f"{self.group_prefix}{{{name}}}"

    def members(self, group: str, process: str) -> str:
        """Set: the connections of one process that are in a group."""
        return f"{self.prefix}members:{{{process}}}:{group}"

    def joined(self, process: str) -> str:
        """Set: the groups with members in a process."""
        return f"{self.prefix}joined:{{{process}}}"

    def changed(self, process: str) -> str:
        """String: the id of the last join or leave in the inbox of a process."""
        return f"{self.prefix}changed:{{{process}}}"

    def wills(self, process: str) -> str:
        """Hash: local to the message that is sent if the process dies."""
        return f"{self.prefix}wills:{{{process}}}"

    def attached(self, key: str, name: str) -> str:
        """What is attached under a key: of a process a hash by local, else a string."""
        return f"{self.prefix}attached:{{{name}}}:{key}"

    def attachments(self, process: str) -> str:
        """Set: the keys under which something is attached in a process."""
        return f"{self.prefix}attachments:{{{process}}}"

    def gone(self, process: str) -> str:
        """String: the process was found dead, and cleaned up after."""
        return f"{self.prefix}gone:{{{process}}}"

    def heard(self, process: str) -> str:
        """String: on a shard that is not the process's own, that it was here lately."""
        return f"{self.prefix}heard:{{{process}}}"

    def claim(self, name: str) -> str:
        """String: somebody has asked for a thing that is for the first one alone."""
        return f"{self.prefix}claim:{{{name}}}"

    def workers(self, channel: str) -> str:
        """Sorted set: the workers that read a channel, by when they are to be heard of again."""
        return f"{self.prefix}workers:{{{channel}}}"

    def of_process(self, process: str) -> tuple[str, ...]:
        """The keys that end with a process, but for those of its groups.

        What was counted stays for its day, and what is attached for those who are to be told.
        """
        kinds = (self.inbox, self.waiting, self.joined, self.changed, self.wills, self.later)
        return tuple(key(process) for key in kinds)
