"""What names, capacities and other numbers are valid."""

from __future__ import annotations

import fnmatch
import re
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from channels_classic.exceptions import InvalidName

T = TypeVar("T")

_CHANNEL = re.compile(r"[a-zA-Z0-9_.-]+(\?[a-zA-Z0-9_.-]+|![a-zA-Z0-9_.-]*)?")
_GROUP = re.compile(r"[a-zA-Z0-9_.-]+")
_NAME_LENGTH = 99
_RULE = f"ASCII letters, digits, hyphens, underscores and periods, at most {_NAME_LENGTH} of them"


def valid_channel_name(name: str) -> str:
    """``name``, or ``InvalidName``: a base, then at most one of ``?random`` and ``!local``."""
    if not isinstance(name, str) or len(name) > _NAME_LENGTH or not _CHANNEL.fullmatch(name):
        raise InvalidName(
            f"{_shown(name)} is not a channel name: use {_RULE}, "
            "with one '?' or '!' in between for a reply channel"
        )
    return name


def valid_group_name(name: str) -> str:
    """``name``, or ``InvalidName``."""
    if not isinstance(name, str) or len(name) > _NAME_LENGTH or not _GROUP.fullmatch(name):
        raise InvalidName(f"{_shown(name)} is not a group name: use {_RULE}")
    return name


def valid_key(key: str) -> str:
    """``key``, under which something is attached to a connection, or ``InvalidName``."""
    if not isinstance(key, str) or len(key) > _NAME_LENGTH or not _GROUP.fullmatch(key):
        raise InvalidName(f"{_shown(key)} is not a key of attachments: use {_RULE}")
    return key


def valid_receive_names(names: Sequence[str]) -> list[str]:
    """``names`` as a list, or ``InvalidName``; ``!`` channels are received by their process."""
    if isinstance(names, (str, bytes)):
        raise InvalidName(f"receive() takes a list of channel names, not {_shown(names)}")
    for name in names:
        valid_channel_name(name)
        if "!" in name and not name.endswith("!"):
            raise InvalidName(f"receive {_shown(name)} by its process: {non_local_name(name)!r}")
    return list(names)


def valid_worker_names(names: Sequence[str]) -> list[str]:
    """``names`` as a list, or ``InvalidName``; what is for one process is not for workers."""
    for name in valid_receive_names(names):
        if "!" in name:
            raise InvalidName(f"{_shown(name)} belongs to one process: workers cannot read it")
    return list(names)


def is_plain(name: str) -> bool:
    """Whether workers share the channel ``name``: it is of no process, and of no single reader."""
    return "!" not in name and "?" not in name


def non_local_name(name: str) -> str:
    """``name`` up to and including its ``!``; all of it when it has none."""
    at = name.find("!")
    return name if at < 0 else name[: at + 1]


def random_letters(count: int) -> str:
    """``count`` ASCII letters that nobody can guess."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(count))


class ByPattern(Generic[T]):
    """A value for each channel name: that of the first pattern that matches, else ``default``.

    Globs match whole names, compiled regular expressions from the start. ``check`` gets the name
    of the option and a value, and returns the value or raises ``ValueError``. The connections of
    a process have one value together.
    """

    def __init__(
        self,
        option: str,
        patterns: Mapping[str | re.Pattern[str], T] | None,
        default: T,
        check: Callable[[str, Any], T],
    ) -> None:
        self.default = default
        self.patterns: list[tuple[re.Pattern[str], T]] = [
            (
                re.compile(fnmatch.translate(each)) if isinstance(each, str) else each,
                check(f"{option}[{each!r}]", value),
            )
            for each, value in (patterns or {}).items()
        ]
        self._known: dict[str, T] = {}

    def __getitem__(self, channel: str) -> T:
        name = non_local_name(channel)
        if name in self._known:
            return self._known[name]
        found = next((value for regex, value in self.patterns if regex.match(name)), self.default)
        if "?" not in name:  # random names would fill this
            self._known[name] = found
        return found


def positive(name: str, value: Any) -> Any:
    """``value``, or the ``ValueError`` that says what ``name`` must be."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return value


def _shown(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 120 else f"{text[:120]}… ({len(text)} characters)"
