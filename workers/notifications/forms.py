"""The form of the page: a notification to somebody."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from notifications.models import Notification


class NotificationForm(forms.Form):
    """To whom, what, and how urgent it is."""

    to = forms.CharField(required=False, max_length=150)
    level = forms.ChoiceField(choices=Notification.Level)
    text = forms.CharField(
        max_length=300,  # fewer than a notification may have: the sender's name stands before it
        error_messages={
            "required": "Write something first.",
            "max_length": "This has %(show_value)d characters, and the limit is %(limit_value)d.",
        },
    )

    def __init__(self, sender: AbstractBaseUser, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sender = sender

    def clean_to(self) -> AbstractBaseUser:
        """The user of that name; who names nobody means themselves."""
        name = self.cleaned_data["to"]
        if not name:
            return self.sender
        user = get_user_model().objects.filter(username__iexact=name, is_active=True).first()
        if user is None:
            raise forms.ValidationError(f"Nobody here is called {name}.")
        return user
