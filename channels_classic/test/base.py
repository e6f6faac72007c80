"""ChannelTestCase and TransactionChannelTestCase: test cases with channel layers of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS
from django.test import TestCase, TransactionTestCase

from channels_classic.asgi import channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.layers.traffic import Content
from channels_classic.message import Message
from channels_classic.test import commits, running, sent
from channels_classic.test.client import Client, next_message
from channels_classic.test.recording import fresh_layers
from channels_classic.test.routes import apply_routes

__all__ = [
    "ChannelTestCase",
    "ChannelTestCaseMixin",
    "Client",
    "TransactionChannelTestCase",
    "apply_routes",
]


class ChannelTestCaseMixin:
    """Gives each test fresh in-memory layers with the routing of the settings, and takes them back.

    The default routes, those of ``runserver`` and ``runworker``, are not added.
    """

    #: The channel layers that are replaced.
    test_channel_aliases: ClassVar[Sequence[str]] = [DEFAULT_CHANNEL_LAYER]
    #: Options of the layers in their place: those of ``InMemoryChannelLayer``, as ``capacity``.
    test_channel_options: ClassVar[Mapping[str, Any]] = {}

    def _callSetUp(self) -> None:
        """As part of ``setUp``, which subclasses override without calling ours."""
        self.enterContext(fresh_layers(self.test_channel_aliases, **self.test_channel_options))  # type: ignore[attr-defined]
        super()._callSetUp()  # type: ignore[misc]

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """Take the next message off ``channel``; without one None, or a failure to ``require``."""
        message = next_message(channel_layers[alias], channel)
        if message is None and require:
            raise AssertionError(f"Expected a message on {channel}, and there is none")
        return message

    def process_all(self, *, delayed: bool = False, limit: int = running.LIMIT) -> int:
        """Run what waits on the routed channels until nothing does; returns how many ran.

        With ``delayed``, messages that wait for their time are run as well. Raises what a consumer
        raises, and ``AssertionError`` for a message without a route, or when after ``limit``
        messages there are still more.
        """
        return running.process_all(
            self.test_channel_aliases, delayed=delayed, limit=limit, sender=type(self)
        )

    def assertSent(
        self, channel: str, content: sent.Expected = None, *, alias: str = DEFAULT_CHANNEL_LAYER
    ) -> list[Content]:
        """``content`` was sent to ``channel`` during this test, perhaps among other keys.

        Without ``content``, anything was. Returns all that match. What has been received since, or
        is delayed, counts too. A "text" that is expected to be no ``str`` is compared as JSON.
        """
        return sent.assert_sent(channel, content, alias=alias)

    def assertNotSent(
        self, channel: str, content: sent.Expected = None, *, alias: str = DEFAULT_CHANNEL_LAYER
    ) -> None:
        """Nothing that ``assertSent`` would find was sent to ``channel`` during this test."""
        sent.assert_not_sent(channel, content, alias=alias)

    def assertGroupSent(
        self, group: str, content: sent.Expected = None, *, alias: str = DEFAULT_CHANNEL_LAYER
    ) -> list[Content]:
        """``assertSent`` for what was sent to ``group``, with members or without."""
        return sent.assert_sent(group, content, alias=alias, to_group=True)

    def assertGroupNotSent(
        self, group: str, content: sent.Expected = None, *, alias: str = DEFAULT_CHANNEL_LAYER
    ) -> None:
        """Nothing that ``assertGroupSent`` would find was sent to ``group`` during this test."""
        sent.assert_not_sent(group, content, alias=alias, to_group=True)


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """Django's ``TestCase`` with channel layers of its own.

    The transaction around each test never commits. A send with ``on_commit`` is made all the same,
    at the latest when the test next looks: once the ``atomic`` blocks of the tested code have
    ended, and not if one was rolled back. Callbacks of ``transaction.on_commit`` run as in every
    ``TestCase``: in ``captureOnCommitCallbacks(execute=True)`` alone.
    """

    @classmethod
    @contextmanager
    def captureOnCommitCallbacks(
        cls, *, using: str = DEFAULT_DB_ALIAS, execute: bool = False
    ) -> Iterator[list[Callable[[], Any]]]:
        """Django's; what it has sent is not sent again."""
        with super().captureOnCommitCallbacks(using=using, execute=execute) as callbacks:
            yield callbacks
        if execute:
            commits.forget_sends(using, callbacks)


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """Django's ``TransactionTestCase`` with channel layers of its own; transactions are real."""
