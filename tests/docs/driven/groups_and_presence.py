"""Who comes, and what members of the group hear of it."""

from __future__ import annotations

from django.contrib.auth.models import User

from channels_classic.presence import count_users, send_to_user, users_in
from channels_classic.test import WSClient

user = User.objects.create(username="ann")
for path, group in (("/chat/lobby/", "chat-lobby"), ("/table/1/", "table-1")):
    ann = WSClient()
    ann.force_login(user)
    ann.send_and_consume("websocket.connect", path=path)
    assert ann.receive() == {
        "presence": "join",
        "user": {"id": user.pk, "name": "ann"},
        "group": group,
    }
    assert users_in(group) == {user.pk}
    assert count_users(group) == 1
    send_to_user(user, {"text": "It is on its way."})
    assert ann.receive(json=False) == "It is on its way."
    ann.send_and_consume("websocket.disconnect", {"code": 1000}, path=path)
    assert users_in(group) == set()
