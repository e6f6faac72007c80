"""Routing that nothing but a channel layer of the settings leads to."""

from __future__ import annotations

from channels_classic.binding.websockets import WebsocketBinding
from tests.binding.library.models import Author


class LateBinding(WebsocketBinding):
    model = Author
    stream = "authors"
    fields = "__all__"

    @classmethod
    def group_names(cls, instance):
        return ["late"]


routing = []
