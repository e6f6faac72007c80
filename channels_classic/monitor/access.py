"""Who may look at the live page, and who may act on it."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user

#: Members of the staff may look; to put dead letters back and delete them needs this one, too.
PERMISSION = "channels_classic_monitor.change_deadletter"


def may_look(user: Any) -> bool:
    """Whether ``user`` is an active member of the staff."""
    return bool(user and user.is_active and user.is_staff)


def may_act(user: Any) -> bool:
    """Whether ``user`` may look, and has the permission to requeue and delete dead letters."""
    return may_look(user) and bool(user.has_perm(PERMISSION))


def may_still_look(session_key: str | None) -> bool:
    """Whether the HTTP session is still that of somebody who may look; it is not changed.

    It is not after a logout, a change of password, or when the user has left the staff.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    request: Any = SimpleNamespace(session=_AsRead(store.load()))
    return may_look(get_user(request))


class _AsRead(dict[str, Any]):
    """What a session held; what Django would change of it is for requests alone."""

    def flush(self) -> None:
        """The login is not good."""
        self.clear()

    def cycle_key(self) -> None:
        """It is, by an older ``SECRET_KEY``."""
