"""A socket of the page, from its connect to its end; a browser that is logged in."""

from __future__ import annotations

from django.contrib.auth.models import User

from channels_classic.test import WSClient

ann = WSClient()
ann.force_login(User.objects.create(username="ann"))
ann.send_and_consume("websocket.connect", path="/kitchen/")
ann.send_and_consume("websocket.receive", text="a", path="/kitchen/")
assert ann.receive(json=False) == "ann in kitchen: a"
ann.send_and_consume("websocket.disconnect", path="/kitchen/")
assert not ann.channel_session.keys()

somebody = WSClient(with_session=False)
somebody.send_and_consume("websocket.connect", path="/cellar/")
somebody.send_and_consume("websocket.receive", text="b", path="/cellar/")
assert somebody.receive(json=False) == "somebody in cellar: b"
