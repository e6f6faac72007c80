"""Assertions about what was sent during a test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from channels_classic.asgi import channel_layers
from channels_classic.layers.traffic import Content
from channels_classic.test import commits
from channels_classic.test.recording import RecordingLayer, Sent

Expected = Mapping[str, Any] | None


def assert_sent(
    name: str, content: Expected = None, *, alias: str, to_group: bool = False
) -> list[Content]:
    """Something with at least the items of ``content`` was sent to ``name``; all that match.

    A text that is expected to be no ``str`` is compared as JSON. Sends that a consumer still holds
    back do not count; delayed ones do, and those that were received since.
    """
    everything = _sent(alias, to_group)
    found = _matching(everything, name, content)
    if found:
        return found
    wanted = "anything" if content is None else f"{dict(content)!r}"
    raise AssertionError(
        f"Expected {wanted} on {_named(name, to_group)}. {_report(everything, name)}"
    )


def assert_not_sent(
    name: str, content: Expected = None, *, alias: str, to_group: bool = False
) -> None:
    """Nothing that ``assert_sent`` would find was sent."""
    found = _matching(_sent(alias, to_group), name, content)
    if found:
        raise AssertionError(f"Sent to {_named(name, to_group)}:{_lines(found)}")


def _sent(alias: str, to_group: bool) -> list[Sent]:
    commits.make_sends()
    layer = channel_layers[alias].channel_layer
    if not isinstance(layer, RecordingLayer):
        raise TypeError(
            f"the layer {alias!r} does not remember what was sent: use a ChannelTestCase with it "
            "in test_channel_aliases, or the fixture channel_layer"
        )
    return [each for each in layer.sent() if each.to_group is to_group]


def _matching(everything: list[Sent], name: str, content: Expected) -> list[Content]:
    contents = [each.content for each in everything if each.name == name]
    return [each for each in contents if _has(each, content or {})]


def _has(content: Content, expected: Mapping[str, Any]) -> bool:
    return all(key in content and _equal(key, content[key], expected[key]) for key in expected)


def _equal(key: str, value: Any, expected: Any) -> bool:
    if key == "text" and isinstance(value, str) and not isinstance(expected, str):
        with suppress(ValueError):
            value = json.loads(value)
    return bool(value == expected)


def _named(name: str, to_group: bool) -> str:
    return f"the group {name}" if to_group else name


def _report(everything: list[Sent], name: str) -> str:
    there = [each.content for each in everything if each.name == name]
    if there:
        return f"Sent to it:{_lines(there)}"
    names = ", ".join(sorted({each.name for each in everything}))
    return f"Nothing was sent to it, but to: {names}" if names else "Nothing was sent at all"


def _lines(contents: list[Content]) -> str:
    return "".join(f"\n  {each!r:.500}" for each in contents)
