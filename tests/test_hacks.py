"""The old name of how runserver is taken over."""

from __future__ import annotations

from django.core.management import get_commands

from channels_classic.hacks import monkeypatch_django


def test_runserver_is_ours(monkeypatch):
    monkeypatch.setitem(get_commands(), "runserver", "django.contrib.staticfiles")
    monkeypatch_django()
    assert get_commands()["runserver"] == "channels_classic"
