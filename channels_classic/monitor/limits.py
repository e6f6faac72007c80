"""The limits of the live page: how much of a large site it shows, and how often."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from channels_classic.conf import option


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ``CHANNELS_CLASSIC["MONITOR"]`` may say, each with its default.

    Raises ``ImproperlyConfigured`` for a value that cannot be.
    """

    #: Rows: the busiest channels, the largest groups, servers, workers, the newest dead letters,
    #: and the delayed messages that are due next.
    channels: int = 50
    groups: int = 20
    servers: int = 50
    workers: int = 50
    dead: int = 50
    delayed: int = 50
    #: Consumers that are shown of one worker.
    running: int = 20
    #: Characters of a message's content and of a traceback.
    content: int = 4000
    traceback: int = 20_000
    #: Dead letters that one request puts back or deletes; the page asks again.
    at_once: int = 200
    #: Seconds that the chart tells of, and between two of its points.
    history: float = 600
    sample: float = 5
    #: Seconds between two looks at who may still look.
    check: float = 10

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            whole = isinstance(getattr(Limits, name), int) and name not in _SECONDS
            kind = int if whole else (int, float)
            if not isinstance(value, kind) or isinstance(value, bool) or not value > 0:
                raise ImproperlyConfigured(
                    f"CHANNELS_CLASSIC['MONITOR']: {name} must be a "
                    f"{'whole ' if whole else ''}number above 0, not {value!r}"
                )

    @property
    def samples(self) -> int:
        """How many points the history has."""
        return max(2, int(self.history / self.sample))


_SECONDS = ("history", "sample", "check")


def limits() -> Limits:
    """The limits of the settings; ``ImproperlyConfigured`` says what is wrong with them."""
    found: Any = option("MONITOR", {})
    if not isinstance(found, dict):
        raise ImproperlyConfigured(
            f"CHANNELS_CLASSIC['MONITOR'] is not a dict but a {type(found).__name__}"
        )
    known = [each.name for each in fields(Limits)]
    if unknown := sorted(map(repr, found.keys() - set(known))):
        raise ImproperlyConfigured(
            f"CHANNELS_CLASSIC['MONITOR'] has no option {', '.join(unknown)}: "
            f"it has {', '.join(known)}"
        )
    return Limits(**found)
