"""Handshakes whose consumer fails or asks to be run later: refused after the last attempt."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import ConsumeLater
from channels_classic.policy import consumer
from channels_classic.routing import route
from tests.worker.site import Site, until

CONNECT = "websocket.connect"


def failing(error, *, is_async, times=99, **options):
    """A consumer that fails so often, and then accepts."""
    runs = []

    def run(message):
        runs.append(1)
        if len(runs) <= times:
            raise error
        message.reply_channel.send({"accept": True})

    async def run_async(message):
        run(message)

    made = run_async if is_async else run
    made = consumer(backoff=0.001, **options)(made) if options else made
    made.runs = runs
    return made


both_kinds = pytest.mark.parametrize("is_async", [False, True])


@both_kinds
def test_a_socket_whose_consumer_fails_is_refused_at_once(layer, is_async):
    """Weakness 28: it hung until the handshake timed out."""
    site = Site(layer, route(CONNECT, failing(RuntimeError("no luck"), is_async=is_async)))
    with site.working():
        site.send(CONNECT, reply_channel="answers?1")
        assert site.received("answers?1") == {"close": True}


@both_kinds
@pytest.mark.parametrize("error", [RuntimeError("no luck"), ConsumeLater()])
def test_a_socket_whose_consumer_is_tried_again_is_refused_after_the_last_attempt(
    layer, is_async, error
):
    each = failing(error, is_async=is_async, max_attempts=3)
    site = Site(layer, route(CONNECT, each))
    with site.working():
        site.send(CONNECT, reply_channel="answers?1")
        assert site.received("answers?1") == {"close": True}
        until(lambda: site.pending(CONNECT) == 0)
    assert len(each.runs) == 3
    assert site.layer.receive(["answers?1"]) == (None, None)


@both_kinds
@pytest.mark.parametrize("error", [RuntimeError("no luck"), ConsumeLater()])
def test_a_socket_whose_consumer_has_luck_in_the_end_is_accepted(layer, is_async, error):
    each = failing(error, is_async=is_async, times=2, max_attempts=3)
    site = Site(layer, route(CONNECT, each))
    with site.working():
        site.send(CONNECT, reply_channel="answers?1")
        assert site.received("answers?1") == {"accept": True}
        until(lambda: site.pending(CONNECT) == 0)
    assert site.layer.receive(["answers?1"]) == (None, None)


@both_kinds
def test_what_was_to_be_sent_by_a_run_that_is_done_later_counts_as_no_answer(layer, is_async):
    def run(message):
        message.reply_channel.send({"accept": True})
        raise ConsumeLater

    async def run_async(message):
        run(message)

    site = Site(layer, route(CONNECT, run_async if is_async else run), message_retries=2)
    with site.working():
        site.send(CONNECT, reply_channel="answers?1")
        assert site.received("answers?1") == {"close": True}


@both_kinds
def test_a_request_that_is_done_later_too_often_is_answered_with_500(layer, is_async):
    each = failing(ConsumeLater(), is_async=is_async)
    site = Site(layer, route("http.request", each), message_retries=2)
    with site.working():
        site.send("http.request", reply_channel="answers?1")
        assert site.received("answers?1")["status"] == 500
    assert len(each.runs) == 3


@both_kinds
def test_a_socket_may_be_accepted_by_the_worker(layer, is_async, settings):
    """As in Channels 0: ``IMPLICIT_ACCEPT``."""
    settings.CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True}

    def nothing(message):
        pass

    async def nothing_async(message):
        pass

    site = Site(layer, route(CONNECT, nothing_async if is_async else nothing))
    with site.working():
        site.send(CONNECT, reply_channel="answers?1")
        assert site.received("answers?1") == {"accept": True}
