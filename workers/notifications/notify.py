"""What other apps call."""

from __future__ import annotations

import json

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from notifications.models import Notification, group_of


@transaction.atomic  # what is sent after a commit raises nothing: without the bus it is kept, too
def notify(user: AbstractBaseUser, text: str, level: str = "info") -> Notification:
    """Tell ``user`` something, wherever they are: in each tab now, or when they come next.

    It may be called by views, consumers, tasks, commands and in the shell. ``level`` is "info",
    "success", "warning" or "error". Within a transaction it is shown once that is committed, and
    never if it is rolled back. Raises ``ValidationError`` for another level, and for a text that is
    empty or longer than 500 characters.
    """
    notification = Notification(user=user, text=text, level=level)
    notification.full_clean()
    notification.save()
    group_of(user).send({"text": json.dumps({"shown": [notification.state()]})}, on_commit=True)
    return notification
