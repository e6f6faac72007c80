"""What names, capacities and other numbers are valid."""

from __future__ import annotations

import fnmatch
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

from channels_classic.exceptions import InvalidName

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


def non_local_name(name: str) -> str:
    """``name`` up to and including its ``!``; all of it when it has none."""
    at = name.find("!")
    return name if at < 0 else name[: at + 1]


def random_letters(count: int) -> str:
    """``count`` ASCII letters that nobody can guess."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(count))


def compile_capacities(
    patterns: Mapping[str | re.Pattern[str], int],
) -> list[tuple[re.Pattern[str], int]]:
    """Globs become regular expressions, which stay as they are; the order is kept."""
    compiled = []
    for pattern, limit in patterns.items():
        regex = re.compile(fnmatch.translate(pattern)) if isinstance(pattern, str) else pattern
        compiled.append((regex, int(positive(f"channel_capacity[{pattern!r}]", limit))))
    return compiled


def positive(name: str, value: Any) -> Any:
    """``value``, or the ``ValueError`` that says what ``name`` must be."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return value


def _shown(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 120 else f"{text[:120]}… ({len(text)} characters)"
