"""A channel layer as somebody else may write it: the classic verbs and nothing more."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.codec import Codec
from channels_classic.layers.names import (
    non_local_name,
    valid_channel_name,
    valid_group_name,
    valid_receive_names,
)


class ClassicLayer(BaseChannelLayer):
    """Everything in one list, looked through from the start."""

    extensions: ClassVar[list[str]] = ["groups", "flush", "async"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.codec = Codec(max_size=self.max_message_size)
        self.changed = threading.Condition()
        self.messages: list[tuple[str, bytes, float]] = []
        self.groups: dict[str, dict[str, float]] = {}

    def send(self, channel, content):
        self.prepare(channel, content)  # for its checks
        payload = self.codec.encode(content)
        with self.changed:
            self._put(channel, payload)
            self.changed.notify_all()

    def _put(self, channel, payload):
        now = time.monotonic()
        self.messages = [each for each in self.messages if each[2] > now]
        if sum(name == channel for name, *_ in self.messages) >= self.get_capacity(channel):
            raise self.ChannelFull
        self.messages.append((channel, payload, now + self.expiry))

    def receive(self, channels, block=False):
        names = valid_receive_names(channels)
        with self.changed:
            found = self._take(names)
            if block and names and not found:
                self.changed.wait(1)
                found = self._take(names)
        return (found[0], self.codec.decode(found[1])) if found else (None, None)

    def _take(self, names):
        now = time.monotonic()
        for number, (name, payload, lives) in enumerate(self.messages):
            if non_local_name(name) in names and lives > now:
                del self.messages[number]
                return name, payload
        return None

    def group_add(self, group, channel):
        valid_group_name(group), valid_channel_name(channel)
        lives = float("inf") if "!" in channel else time.monotonic() + self.group_expiry
        with self.changed:
            self.groups.setdefault(group, {})[channel] = lives

    def group_discard(self, group, channel):
        valid_group_name(group), valid_channel_name(channel)
        with self.changed:
            self.groups.get(group, {}).pop(channel, None)

    def group_channels(self, group):
        with self.changed:
            members = self.groups.get(group, {}).items()
            return [name for name, lives in members if lives > time.monotonic()]

    def send_group(self, group, content):
        self.prepare(group, content, to_group=True)
        for channel in self.group_channels(group):
            try:
                self.send(channel, content)
            except self.ChannelFull:
                continue

    def flush(self):
        with self.changed:
            self.messages, self.groups = [], {}
