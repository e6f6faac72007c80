"""The form of the sign-in: a name."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

TAKEN = "This name is not free. Choose another one, or sign in with its password at the admin."


class NameForm(forms.Form):
    """Whoever says a name has it: FOR A DEMO ONLY, where nothing is worth a password.

    In a site of yours leave this form out: ``LoginView`` then asks for the password, and nothing
    else changes, for the consumers neither. Names that do have a password are safe here.
    """

    username = UsernameField(
        label="Your name",
        min_length=2,
        max_length=30,
        validators=[get_user_model().username_validator],
        error_messages={
            "required": "Say a name first.",
            "invalid": "A name has letters, digits and @ . + - _ only, and no spaces.",
        },
    )

    def __init__(self, request: HttpRequest | None = None, **options: Any) -> None:
        """``LoginView`` hands over its request; only passwords need it."""
        super().__init__(**options)

    def clean_username(self) -> str:
        """The name, as its user wrote it first."""
        name: str = self.cleaned_data["username"]
        user = get_user_model().objects.filter(username__iexact=name).first()
        if user is None:
            return name
        is_powerful = user.is_staff or user.is_superuser  # a script may have left it bare
        if user.has_usable_password() or is_powerful or not user.is_active:
            raise forms.ValidationError(TAKEN)
        return user.get_username()

    def get_user(self) -> AbstractBaseUser:
        """The user of that name, who is made if new, and can never sign in by a password."""
        user, _ = get_user_model().objects.get_or_create(
            username=self.cleaned_data["username"], defaults={"password": make_password(None)}
        )
        return user
