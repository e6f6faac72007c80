"""Channels 4: the same pages, an echo as async and as sync consumer, and groups."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path


class AsyncEcho(AsyncWebsocketConsumer):
    """Sends back what it gets."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data, bytes_data=bytes_data)


class SyncEcho(WebsocketConsumer):
    """Sends back what it gets, from a thread."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(text_data=text_data, bytes_data=bytes_data)


class Member(AsyncWebsocketConsumer):
    """Joins the group that its path names and sends on what the group gets."""

    async def connect(self) -> None:
        self.groups = [self.scope["url_route"]["kwargs"]["group"]]
        await self.channel_layer.group_add(self.groups[0], self.channel_name)
        await self.accept()

    async def bench_text(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter(
            [
                path("echo/", AsyncEcho.as_asgi()),
                path("sync-echo/", SyncEcho.as_asgi()),
                path("group/<slug:group>/", Member.as_asgi()),
            ]
        ),
    }
)
