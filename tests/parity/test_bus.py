"""What a channel layer takes that users of Channels 1 may send it."""

from __future__ import annotations


def test_a_process_is_sent_to_without_a_connection(layer):
    layer.send("reply!", {"to": "whoever reads"})
    assert layer.receive(["reply!"]) == ("reply!", {"to": "whoever reads"})
