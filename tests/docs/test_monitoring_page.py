"""docs/monitoring.rst names every limit with its default, and every key that scripts get."""

from __future__ import annotations

from dataclasses import fields

import pytest

from channels_classic.async_runner import AsyncRunner
from channels_classic.duty import Duty
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.monitor.limits import Limits
from channels_classic.monitor.snapshot import snapshot
from channels_classic.server.duty import Duty as ServerDuty
from tests.docs.test_settings_page import names, rows

pytestmark = pytest.mark.timeout(400)  # the first of these may have to build the pages
PAGE = "monitoring"


def keys(title: str) -> set[str]:
    """What the first column of the table names."""
    return names(title, PAGE)


def test_the_page_has_the_limits_with_their_defaults() -> None:
    found = {each.name: f"{each.default:g}" for each in fields(Limits)}
    assert {row[0].astext(): row[1].astext() for row in rows("MONITOR", PAGE)} == found


def test_the_page_has_the_keys_of_stats_and_of_a_channel() -> None:
    found = snapshot(InMemoryChannelLayer(), ["a"])
    assert keys("Keys of stats") == set(found)
    assert keys("Keys of a channel") == set(found["channels"][0])


def test_the_page_has_the_keys_of_processes() -> None:
    """The name comes from the bus; groups are told for the whole site."""
    server, worker = ServerDuty().report(), Duty(AsyncRunner()).report([])
    assert keys("Keys of a server") == {"name", *server} - {"kind", "groups", "largest"}
    assert keys("Keys of a worker") == {"name", *worker} - {"kind"}
