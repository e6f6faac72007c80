"""What waits for a commit that never comes: a ``TestCase`` ends its transaction by a rollback."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from functools import partial
from typing import Any

from django.db import connections

_PACKAGE = __name__.partition(".")[0]


def make_sends() -> None:
    """Make the sends with ``on_commit`` whose transaction would be committed by now.

    That is so once every ``atomic`` block has ended but those of the test case itself. Callbacks
    of others are left to ``captureOnCommitCallbacks``, as with all of Django's test tools.
    """
    for connection in connections.all(initialized_only=True):
        blocks: list[Any] = connection.atomic_blocks
        if not blocks or not blocks[-1]._from_testcase:
            continue  # Django itself sees to it
        for callback in _take(connection.run_on_commit):
            callback()


def forget_sends(using: str, callbacks: Container[Callable[[], Any]]) -> None:
    """Those of ``callbacks`` that are sends have been made by somebody else."""
    for _ in _take(connections[using].run_on_commit, callbacks):
        pass


def _take(
    hooks: list[Any], among: Container[Callable[[], Any]] | None = None
) -> Iterator[Callable[[], Any]]:
    """Our callbacks. Places in this list are counted on: what is taken leaves something there."""
    for at, (savepoints, callback, robust) in enumerate(hooks):
        if _is_ours(callback) and (among is None or callback in among):
            hooks[at] = savepoints, _made, robust
            yield callback


def _is_ours(callback: Callable[[], Any]) -> bool:
    while isinstance(callback, partial):
        callback = callback.func
    module = getattr(callback, "__module__", None) or ""
    return callback is not _made and module.partition(".")[0] == _PACKAGE


def _made() -> None:
    """In the place of a send that has been made."""
