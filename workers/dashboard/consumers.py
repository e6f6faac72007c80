"""The sockets of the dashboard, which only listen."""

from __future__ import annotations

from typing import Any

from channels_classic.generic.websockets import JsonWebsocketConsumer
from channels_classic.message import Message
from dashboard.models import GROUP, Week


class Dashboard(JsonWebsocketConsumer):
    """One open page: it gets the weeks that are kept, then each new one."""

    #: A socket is in its groups before ``connect`` is called, so before it is accepted and before
    #: the stored weeks are read: what is pushed meanwhile comes through the group.
    groups = (GROUP,)

    def connect(self, message: Message, **kwargs: Any) -> None:
        super().connect(message, **kwargs)
        self.send({"weeks": Week.kept(), "stored": True})

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Nothing: pages have nothing to say here.

        Scripts that send an object and not its JSON say "[object Object]". That is dropped as well,
        before anybody tries to read it as JSON, so the socket stays open and no log fills up.
        """
