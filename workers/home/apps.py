"""The app's entry in Django's list, and what it has done once a second."""

from __future__ import annotations

from django.apps import AppConfig

from channels_classic.signals import worker_beat
from home.look import ask_for_a_look
from home.nav import Entry


class HomeConfig(AppConfig):
    """The start page; it stores nothing."""

    name = "home"
    nav = Entry("Start", "home", "")

    def ready(self) -> None:
        """Each worker's heart beats once a second; one of them has the site looked at."""
        worker_beat.connect(ask_for_a_look, dispatch_uid="home")
