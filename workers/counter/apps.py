"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig

from home.nav import Entry


class CounterConfig(AppConfig):
    """The counter."""

    name = "counter"
    nav = Entry("Counter", "counter:page", "Press a button: the number rises in every browser.")
