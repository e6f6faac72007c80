"""The app's entry in Django's list."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out

from accounts.sockets import sign_out


class AccountsConfig(AppConfig):
    """Signing in and out; base.html shows who is signed in."""

    name = "accounts"

    def ready(self) -> None:
        """Sockets end with their sessions."""
        user_logged_out.connect(sign_out)
