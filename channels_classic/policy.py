"""How often a message is tried, and what comes after each try: pure decisions."""

from __future__ import annotations

import enum
import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar, overload

from channels_classic.utils import name_that_thing

logger = logging.getLogger("channels_classic.policy")

#: How often a consumer may ask for its message to be run later, unless its worker says otherwise.
MESSAGE_RETRIES = 10
#: A message whose consumer has ended its worker so often is given up.
MOST_CRASHES = 3
#: What ``backoff`` doubles to at most, before ``max_backoff`` is looked at.
_MOST_DOUBLINGS = 40
_ATTRIBUTE = "channels_policy"

F = TypeVar("F", bound=Callable[..., Any])


class Outcome(enum.Enum):
    """What became of one run of a consumer."""

    DONE = "done"
    LATER = "later"
    FAILED = "failed"
    UNROUTED = "unrouted"


class Next(enum.Enum):
    """What is done with a message now."""

    DONE = "done"
    AGAIN = "again"
    BURY = "bury"
    LOSE = "lose"


class Decision(NamedTuple):
    """What comes next; ``delay`` is the seconds until the message is tried again."""

    next: Next
    delay: float = 0


def _check_seconds(name: str, value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number of seconds, not {value!r}")
    return float(value)


@dataclass(frozen=True)
class Policy:
    """What a consumer asks for; see ``consumer``. Raises ``ValueError`` for what makes no sense."""

    max_attempts: int = 1
    backoff: float | Callable[[int], float] = 1.0
    max_backoff: float = 600.0
    time_limit: float | None = None
    ordering: bool = True

    def __post_init__(self) -> None:
        attempts = self.max_attempts
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise ValueError(f"max_attempts must be a whole number above 0, not {attempts!r}")
        if not callable(self.backoff):
            _check_seconds("backoff", self.backoff)
        _check_seconds("max_backoff", self.max_backoff)
        if self.time_limit is not None:
            _check_seconds("time_limit", self.time_limit)
            if not self.time_limit:
                raise ValueError("time_limit must be above 0: None is no limit")
        if not self.ordering and attempts > 1:
            raise ValueError(
                "ordering=False lets the next message of a socket go before the consumer has "
                "ended, so this one can no longer be kept for another attempt: "
                "set max_attempts=1 too, or keep the order"
            )

    @property
    def at_least_once(self) -> bool:
        """Whether a message is tried again after an error or the death of its worker."""
        return self.max_attempts > 1

    def tries(self, message_retries: int) -> int:
        """How often a message is run at most.

        At most once by default, but a consumer may ask ``message_retries`` times to be run later.
        """
        return self.max_attempts if self.max_attempts > 1 else message_retries + 1

    def delay(self, attempts: int, *, chance: Callable[[], float] = random.random) -> float:
        """Seconds until the next try after so many; some chance keeps many from coming at once."""
        if callable(self.backoff):
            return min(self._asked(self.backoff, attempts), self.max_backoff)
        delay = math.ldexp(self.backoff, min(attempts - 1, _MOST_DOUBLINGS))
        return min(delay, self.max_backoff) * (0.75 + 0.25 * chance())

    def _asked(self, backoff: Callable[[int], float], attempts: int) -> float:
        try:
            return _check_seconds("the result of backoff", backoff(attempts))
        except Exception:  # a mistake in it must not cost the message
            logger.exception("No delay from %s: it is %s s", name_that_thing(backoff), 1.0)
            return 1.0


#: The policy of consumers that ask for none.
PLAIN = Policy(max_attempts=1, backoff=0.1, max_backoff=30.0)


@overload
def consumer(function: F, /) -> F: ...


@overload
def consumer(
    *,
    max_attempts: int = 5,
    backoff: float | Callable[[int], float] = 1.0,
    max_backoff: float = 600.0,
    time_limit: float | None = None,
    ordering: bool = True,
) -> Callable[[F], F]: ...


def consumer(
    function: Callable[..., Any] | None = None,
    /,
    *,
    max_attempts: int = 5,
    backoff: float | Callable[[int], float] = 1.0,
    max_backoff: float = 600.0,
    time_limit: float | None = None,
    ordering: bool = True,
) -> Any:
    """Have the messages of a consumer delivered at least once: ``@consumer`` or ``@consumer(…)``.

    A message whose consumer fails, asks to be run later or loses its worker is tried again, up to
    ``max_attempts`` times in all, and then goes to the dead letters. With ``max_attempts=1`` it
    is at most once, as without this. The sends of a run count only if it was the last.

    ``backoff`` is the first delay in seconds, which doubles each time up to ``max_backoff``, or a
    callable that is given the number of tries so far and returns the seconds.

    ``time_limit`` is how long one run may take, in seconds: then ``TimeLimitExceeded`` is raised
    in the consumer. A call that waits outside of Python ends first.

    ``ordering=False`` lets messages of one socket run at the same time; it is for
    ``max_attempts=1`` alone.

    For functions, coroutine functions and classes that are routed to; it stays in force under
    decorators that use ``functools.wraps``. Raises ``ValueError`` for what makes no sense.
    """
    policy = Policy(max_attempts, backoff, max_backoff, time_limit, ordering)
    return partial(_mark, policy) if function is None else _mark(policy, function)


def _mark(policy: Policy, function: F) -> F:
    if not callable(function):
        raise ValueError(f"@consumer is for a function or a class, not {function!r:.80}")
    try:
        setattr(function, _ATTRIBUTE, policy)
    except AttributeError:
        raise ValueError(
            f"{name_that_thing(function)} cannot be marked: put @consumer on the function "
            "or the class itself"
        ) from None
    return function


def policy_of(consumer: Callable[..., Any]) -> Policy:
    """What ``consumer`` asks for; ``PLAIN`` when it asks for nothing."""
    found = getattr(consumer, _ATTRIBUTE, None)
    if found is None and isinstance(consumer, partial):
        return policy_of(consumer.func)
    return found or PLAIN


def decide(
    policy: Policy,
    outcome: Outcome,
    *,
    attempts: int,
    message_retries: int,
    chance: Callable[[], float] = random.random,
) -> Decision:
    """What follows a run with this ``outcome``, after ``attempts`` earlier ones."""
    wants_another = outcome is Outcome.LATER or (outcome is Outcome.FAILED and policy.at_least_once)
    if not wants_another:
        return Decision(Next.DONE)
    if attempts + 1 >= policy.tries(message_retries):
        return Decision(Next.BURY)
    return Decision(Next.AGAIN, policy.delay(attempts + 1, chance=chance))


def after_crash(policy: Policy, *, crashes: int) -> Next:
    """What becomes of a message whose worker died, after ``crashes`` earlier ones."""
    if not policy.at_least_once:
        return Next.LOSE
    return Next.BURY if crashes + 1 >= MOST_CRASHES else Next.AGAIN
