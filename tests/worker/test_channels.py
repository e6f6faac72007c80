"""The channels that a worker reads."""

from __future__ import annotations

import pytest

from channels_classic.routing import route
from channels_classic.worker import Worker
from tests.worker.site import (
    WORK,
    report,
    survives,
)


@pytest.mark.parametrize(
    ("only", "exclude", "kept"),
    [
        (None, None, ["http.request", "websocket.connect", "websocket.receive"]),
        (["http.*"], None, ["http.request"]),
        (["http.*", "*.receive"], None, ["http.request", "websocket.receive"]),
        (None, ["http.*"], ["websocket.connect", "websocket.receive"]),
        (["websocket.*"], ["*.receive"], ["websocket.connect"]),
        (["HTTP.*"], None, []),
        (["http"], None, []),
    ],
)
def test_filters_choose_among_the_channels(only, exclude, kept):
    worker = Worker(None, only_channels=only, exclude_channels=exclude)
    channels = ["http.request", "websocket.connect", "websocket.receive"]
    assert worker.apply_channel_filters(channels) == kept


def test_a_worker_reads_the_routed_channels_that_its_filters_keep(memory_site):
    routes = [route(["b", "a"], report), route("c", report)]
    site = memory_site(report, *routes, exclude_channels=["b", WORK])
    assert site.worker.channels() == ["a", "c"]


def test_a_channel_that_the_filters_drop_is_left_to_others(memory_site):
    site = memory_site(report, route("other", report), exclude_channels=["other"])
    site.send("other", number=1)
    with site.working():
        assert survives(site)
    assert site.pending("other") == 1


def test_a_worker_without_a_layer_says_so():
    with pytest.raises(ValueError, match="made without a channel layer"):
        Worker(None).channels()
