"""The name in Channels 1 of how ``runserver`` is taken over."""

from __future__ import annotations

from django.core.management import get_commands


def monkeypatch_django() -> None:
    """Make ``runserver`` ours, which ``channels_classic`` in INSTALLED_APPS does by itself.

    Nothing of Django's is patched: it is an entry in its own table of commands.
    """
    # Django lets the first app listed win, and staticfiles, which has a runserver of its own,
    # is listed before us in most projects.
    get_commands()["runserver"] = "channels_classic"
