"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Signing in and out; base.html shows who is signed in."""

    name = "accounts"
