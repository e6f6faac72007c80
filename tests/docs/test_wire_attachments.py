"""What docs/wire.rst says of attachments is what this package does."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("channel", ["ours!7", "theirs!1", "plain", "single?reader"])
def test_what_a_foreign_hand_attached_is_found_and_the_other_way_round(foreign, ours, channel):
    foreign.attach(channel, "seat", foreign.encode({"row": 3}))
    assert ours.layer.attached([channel], "seat") == [{"row": 3}]
    ours.layer.attach(channel, "seat", {"row": 4})
    assert foreign.decode(foreign.attached(channel, "seat")) == {"row": 4}
    foreign.detach(channel, "seat")
    assert ours.layer.attached([channel], "seat") == [None]
    ours.layer.attach(channel, "seat", {"row": 5})
    ours.layer.detach(channel, "seat")
    assert foreign.attached(channel, "seat") is None


def test_a_foreign_server_forgets_what_its_closed_connections_had(foreign, ours):
    foreign.beat_server("theirs!")
    for channel in ("theirs!1", "theirs!2"):
        ours.layer.attach(channel, "seat", {"of": channel})
    foreign.bus.expire(foreign.key("attached", "theirs!", ":seat"), 3600)
    foreign.sweep("theirs!", lambda local: local == "1")
    found = ours.layer.attached(["theirs!1", "theirs!2"], "seat")
    assert found == [None, {"of": "theirs!2"}]
    assert foreign.bus.ttl(foreign.key("attached", "theirs!", ":seat")) == -1


def test_what_is_attached_outlives_a_foreign_server_that_stops(foreign, ours):
    foreign.beat_server("theirs!")
    ours.layer.attach("theirs!1", "seat", {"row": 3})
    foreign.leave_bus("theirs!")
    assert ours.layer.attached(["theirs!1"], "seat") == [{"row": 3}]
    left = list(foreign.bus.scan_iter(f"{foreign.PREFIX}*"))
    assert len(left) == 2
    assert all(0 < foreign.bus.ttl(name) <= 3600 for name in left)
