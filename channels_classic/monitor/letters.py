"""Dead letters of the live page: one in full, and what is decided about some of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from channels_classic.exceptions import ChannelFull
from channels_classic.monitor.frame import Row, letter_in_full

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer
    from channels_classic.layers.traffic import DeadLetter
    from channels_classic.monitor.looker import Looker

logger = logging.getLogger("channels_classic.monitor")

#: What can be done, and how the log calls it.
DEEDS = {"requeue": "put back", "delete": "deleted"}


class Done(NamedTuple):
    """What came of it."""

    #: Letters that were put back or deleted now.
    done: int
    #: Whether there are more, for which to ask again.
    more: bool = False
    #: Why it could not go on.
    problem: str = ""
    #: When the newest letter died at the first request. Letters that die later, perhaps because
    #: they have failed again, are for another time: else there might be no end.
    until: float = 0


def in_full(looker: Looker, id_: str) -> Row:
    """All about the letter, or only that it is gone."""
    letter = looker.layer.channel_layer.ledger.dead_letter(id_)
    return letter_in_full(letter, looker.limits) if letter else {"id": id_, "gone": True}


def decide(
    layer: BaseChannelLayer,
    deed: str,
    *,
    ids: Sequence[str] = (),
    channel: str | None = None,
    until: float = 0,
    at_once: int,
    who: Any,
) -> Done:
    """Do ``deed`` with the letters ``ids``, or with those of ``channel``, or with all; log it.

    No more than ``at_once`` are done, and none that has died after ``until``, which is that of the
    answer to the request before. Raises ``LayerUnavailable``.
    """
    until = until or max((each.died for each in layer.ledger.newest_dead(1)), default=0)
    letters = _by_id(layer, ids) if ids else layer.dead_letters(channel)
    in_time = takewhile(lambda letter: letter.died <= until, letters)
    found = list(islice(in_time, at_once + 1))
    verb = layer.requeue_dead if deed == "requeue" else layer.delete_dead
    done, problem = 0, ""
    try:
        for letter in found[:at_once]:
            done += verb([letter])
    except ChannelFull as error:
        problem = str(error)
    finally:
        _log(deed, found[:done], who)
    return Done(done, len(found) > at_once and not problem, problem, until)


def _by_id(layer: BaseChannelLayer, ids: Iterable[str]) -> Iterable[DeadLetter]:
    return filter(None, map(layer.ledger.dead_letter, dict.fromkeys(ids)))


def _log(deed: str, letters: Sequence[DeadLetter], who: Any) -> None:
    """As a warning, so that it is seen with no logging set up: it cannot be undone."""
    if letters:
        which = ", ".join(f"{each.id} of {each.channel}" for each in letters[:10])
        more = f" and {len(letters) - 10} more" if len(letters) > 10 else ""
        logger.warning(
            "%s has %s %d dead letter(s): %s%s", who, DEEDS[deed], len(letters), which, more
        )
