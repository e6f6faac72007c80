"""The pending store: what code of Channels 1 that looks at held-back sends finds."""

from __future__ import annotations

from channels_classic.channel import Channel
from channels_classic.dispatch import dispatch
from channels_classic.message import pending_message_store
from channels_classic.routing import Router, route


def test_the_store_is_active_while_a_consumer_runs(bus):
    seen = []
    router = Router([route("work", lambda message: seen.append(pending_message_store.active))])
    assert pending_message_store.active is False
    dispatch(bus.message("work"), router)
    assert (seen, pending_message_store.active) == ([True], False)


def test_a_prepared_store_holds_sends_back(bus):
    pending_message_store.prepare()
    try:
        Channel("target").send({"number": 1})
        assert (pending_message_store.active, bus.replies("target")) == (True, [])
    finally:
        pending_message_store.send_and_flush()


def test_what_is_appended_goes_out_with_the_flush(bus):
    pending_message_store.prepare()
    pending_message_store.append(Channel("target"), {"number": 1})
    pending_message_store.send_and_flush()
    assert bus.replies("target") == [{"number": 1}]


def test_a_flush_sends_in_order_and_ends_the_store(bus):
    pending_message_store.prepare()
    for number in (1, 2):
        Channel("target").send({"number": number})
    pending_message_store.send_and_flush()
    assert bus.replies("target") == [{"number": 1}, {"number": 2}]
    assert pending_message_store.active is False
