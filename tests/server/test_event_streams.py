"""Event streams through the server: heartbeats, groups as the source, clients that do not read."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer
from channels_classic.server.events import BEAT, EventStream, stream_of
from tests.server.ends import Request, Workers, until

HEAD = {"status": 200, "headers": [(b"Content-Type", b"text/event-stream")], "more_content": True}
GZIP = {**HEAD, "headers": [*HEAD["headers"], (b"content-encoding", b"gzip")]}
#: Seconds between heartbeats, and the time in which a part of the answer must come.
SOON, PATIENCE = 0.05, 1.0


async def begun(client, workers, **head):
    """The request as a worker got it, once it has answered with ``head``."""
    message = await workers.take("http.request")
    await workers.reply(message, **(head or HEAD))
    assert (await client.next_event())["status"] == 200
    assert (await client.next_event())["more_body"]
    return message


# Heartbeats -----------------------------------------------------------------------------------


async def test_a_silent_stream_gets_comments(request_to, workers):
    client = request_to(options={"heartbeat": SOON})
    await begun(client, workers)
    for _ in range(3):
        assert await client.next_event() == {
            "type": "http.response.body",
            "body": BEAT,
            "more_body": True,
        }


async def test_the_answer_may_say_how_often(request_to, workers):
    client = request_to(options={"heartbeat": 60})
    await begun(client, workers, **HEAD, heartbeat=SOON)
    assert (await client.next_event())["body"] == BEAT


async def test_no_comment_comes_in_the_middle_of_a_line(request_to, workers):
    client = request_to(options={"heartbeat": SOON, "http_timeout": PATIENCE})
    message = await begun(client, workers)
    await workers.reply(message, content=b"data: half", more_content=True)
    assert (await client.next_event())["body"] == b"data: half"
    with pytest.raises(Exception, match="did not answer in time"):
        await client.done()
    assert client.sent.empty()


async def test_what_is_compressed_gets_no_comments(request_to, workers):
    client = request_to(options={"heartbeat": SOON, "http_timeout": PATIENCE})
    await begun(client, workers, **GZIP)
    with pytest.raises(Exception, match="did not answer in time"):
        await client.done()
    assert client.sent.empty()


async def test_another_answer_gets_no_comments(request_to, workers):
    client = request_to(options={"heartbeat": SOON, "http_timeout": PATIENCE})
    await begun(client, workers, status=200, more_content=True)
    with pytest.raises(Exception, match="did not answer in time"):
        await client.done()
    assert client.sent.empty()


async def test_a_heartbeat_of_0_is_none(request_to, workers):
    client = request_to(options={"heartbeat": 0, "http_timeout": PATIENCE})
    await begun(client, workers)
    with pytest.raises(Exception, match="did not answer in time"):
        await client.done()
    assert client.sent.empty()


async def test_a_view_that_streams_events_is_given_up_when_it_falls_silent(request_to, workers):
    """Its worker may be dead: comments must not hide that for good."""
    client = request_to(options={"heartbeat": SOON, "http_timeout": PATIENCE})
    await begun(client, workers)
    with pytest.raises(Exception, match="did not answer in time"):
        await client.done()
    assert client.sent.get_nowait()["body"] == BEAT


async def test_a_stream_that_is_left_to_groups_may_be_silent_for_as_long_as_it_likes(
    request_to, workers
):
    client = request_to(options={"http_timeout": PATIENCE})
    await begun(client, workers, **HEAD, heartbeat=PATIENCE / 3)
    for _ in range(5):
        assert (await client.next_event())["body"] == BEAT


async def test_a_silent_stream_without_heartbeats_ends_when_its_client_leaves(request_to, workers):
    workers.read("http.disconnect")
    client = request_to()
    message = await begun(client, workers, **HEAD, heartbeat=0)
    client.leave()
    assert await client.done() == []
    gone = await workers.take("http.disconnect")
    assert gone["reply_channel"] == message["reply_channel"]


@pytest.mark.parametrize("heartbeat", ["5", -1, True, None, float("nan")])
async def test_a_heartbeat_that_is_no_number_is_a_bad_answer(
    request_to, workers, heartbeat, caplog
):
    client = request_to()
    message = await workers.take("http.request")
    await workers.reply(message, **HEAD, heartbeat=heartbeat)
    assert (await client.answer())[0] == 500
    assert "the heartbeat of a response is a number of seconds" in caplog.text


@pytest.mark.parametrize(
    ("sent", "beat"),
    [
        ([], BEAT),
        ([b"data: x\n\n"], BEAT),
        ([b"data: x\n"], BEAT),
        ([b"data: x\n\n", b""], BEAT),
        ([b"data"], b""),
        ([b"data: x\r"], b""),
        ([b"data: x\r\n"], BEAT),
    ],
)
def test_a_comment_fits_between_two_lines_alone(sent, beat):
    stream = EventStream(15, is_endless=False)
    for body in sent:
        stream.passed_on(body)
    assert stream.beat() == beat


@pytest.mark.parametrize(
    ("content_type", "is_stream"),
    [
        (b"text/event-stream", True),
        (b"text/event-stream; charset=utf-8", True),
        (b"Text/Event-Stream", True),
        (b"text/html", False),
    ],
)
def test_the_content_type_tells_an_event_stream(content_type, is_stream):
    found = stream_of([(b"content-type", content_type)], heartbeat=15, own_heartbeat=None)
    assert (found is not None) == is_stream


# Groups ---------------------------------------------------------------------------------------


async def test_what_a_group_sends_before_the_answer_begins_comes_behind_its_head(
    request_to, workers, layer
):
    client = request_to()
    message = await workers.take("http.request")
    layer.group_add("news", message["reply_channel"])
    for word in (b"one", b"two"):
        layer.send_group("news", {"content": word, "more_content": True})
    await workers.reply(message, **HEAD, content=b"zero")
    layer.send_group("news", {"content": b"three"})
    status, _, body = await client.answer()
    assert (status, body) == (200, b"zeroonetwothree")


def event(number):
    return b"data: x\nid: %d\n\n" % number


async def test_an_event_that_is_sent_while_its_stream_begins_comes_once(request_to, workers, layer):
    client = request_to()
    message = await workers.take("http.request")
    layer.group_add("news", message["reply_channel"])
    for number in (2, 3):
        layer.send_group("news", {"content": event(number), "more_content": True})
    replay = event(1) + event(2) + event(4)
    await workers.reply(message, **HEAD, heartbeat=15, content=replay)
    for number in (4, 5):
        layer.send_group("news", {"content": event(number), "more_content": True})
    layer.send_group("news", {"content": b""})
    assert (await client.answer())[2] == replay + event(3) + event(5)


async def test_events_without_an_id_are_never_taken_for_the_same(request_to, workers, layer):
    client = request_to()
    message = await workers.take("http.request")
    layer.group_add("news", message["reply_channel"])
    await workers.reply(message, **HEAD, heartbeat=15, content=b"data: x\n\n")
    layer.send_group("news", {"content": b"data: x\n\n"})
    assert (await client.answer())[2] == b"data: x\n\n" * 2


async def test_an_id_may_come_again_later(request_to, workers, layer):
    client = request_to()
    message = await begun(client, workers, **HEAD, heartbeat=SOON, content=event(1))
    layer.group_add("news", message["reply_channel"])
    assert (await client.next_event())["body"] == BEAT
    layer.send_group("news", {"content": event(1), "more_content": True})
    found = BEAT
    while found == BEAT:
        found = (await client.next_event())["body"]
    assert found == event(1)


async def test_a_client_that_leaves_is_in_no_group(request_to, workers, layer):
    client = request_to()
    message = await begun(client, workers, **HEAD, heartbeat=15)
    layer.group_add("news", message["reply_channel"])
    layer.send_group("news", {"content": b"x", "more_content": True})
    assert (await client.next_event())["body"] == b"x"
    client.leave()
    await client.done()
    assert list(layer.group_channels("news")) == []


@pytest.mark.parametrize("limit", [{"max_pending": 5}, {"max_pending_bytes": 50}])
async def test_a_client_that_does_not_read_its_groups_is_cut(
    request_to, workers, layer, limit, caplog
):
    client = request_to(options=limit, path="/news")
    message = await begun(client, workers, **HEAD, heartbeat=15)
    layer.group_add("news", message["reply_channel"])
    client.stop_reading()
    for _ in range(8):
        layer.send_group("news", {"content": b"x" * 10, "more_content": True})
    with pytest.raises(Exception, match="The client does not read"):
        await client.done()
    assert "Cut an answer to /news, whose client does not read" in caplog.text
    process = message["reply_channel"].partition("!")[0] + "!"
    await until(lambda: layer.channel_statistics(process).get("overflow_count") == 1)
    assert list(layer.group_channels("news")) == []


async def test_a_client_that_reads_gets_more_than_may_wait(request_to, workers, layer):
    client = request_to(options={"max_pending": 5})
    message = await begun(client, workers, **HEAD, heartbeat=15)
    layer.group_add("news", message["reply_channel"])
    for number in range(20):
        layer.send_group("news", {"content": b"%d" % number, "more_content": True})
        assert (await client.next_event())["body"] == b"%d" % number


async def test_replies_to_the_connection_itself_are_not_cut():
    layer = InMemoryChannelLayer(capacity=20)
    workers = Workers(layer)
    workers.read("http.request")
    client = Request(InterfaceServer(layer, max_pending=5)).start()
    message = await workers.take("http.request")
    client.stop_reading()
    await workers.reply(message, status=200, more_content=True)
    for _ in range(10):
        await workers.reply(message, content=b"x", more_content=True)
    await workers.reply(message, content=b"x")
    await asyncio.wait_for(client.sending.wait(), 5)
    client.read_again()
    assert (await client.answer())[2] == b"x" * 11


# The end --------------------------------------------------------------------------------------


async def test_a_server_that_stops_ends_its_streams_behind_what_they_have(server, workers, layer):
    app = server()
    client = Request(app).start()
    message = await begun(client, workers, **HEAD, heartbeat=15)
    layer.group_add("news", message["reply_channel"])
    layer.send_group("news", {"content": b"last", "more_content": True})
    assert (await client.next_event())["body"] == b"last"
    app.end_streams()
    assert await client.done() == [{"type": "http.response.body", "body": b"", "more_body": False}]


async def test_a_server_that_stops_lets_other_answers_be(server, workers):
    app = server()
    client = Request(app).start()
    message = await begun(client, workers, status=200, more_content=True)
    app.end_streams()
    await workers.reply(message, content=b"all")
    assert (await client.done())[-1]["body"] == b"all"
