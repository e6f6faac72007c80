"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class HomeConfig(AppConfig):
    """The start page; it stores nothing."""

    name = "home"
    nav = Entry("Start", "home", "")
