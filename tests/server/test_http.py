"""One HTTP request through the server, with hand-written ends: the client's and the workers'."""

from __future__ import annotations

import asyncio
import logging

import pytest

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.log import is_request_id
from channels_classic.server import InterfaceServer
from tests.server.ends import Request, Workers, until

PART = 64 * 1024
LOGGER = "channels_classic.server"


async def body_of(workers, message):
    """The whole body of ``message`` as a worker reads it, and the parts that followed."""
    parts = []
    if "body_channel" in message:
        while not parts or parts[-1].get("more_content"):
            parts.append(await workers.take(message["body_channel"]))
    return message["body"] + b"".join(part["content"] for part in parts), parts


async def answered(client, workers, **reply):
    """The answer of ``client`` when a worker replies with ``reply``."""
    message = await workers.take("http.request")
    await workers.reply(message, **(reply or {"status": 200, "content": b"ok"}))
    return await client.answer()


# The request ----------------------------------------------------------------------------------


async def test_a_request_is_answered_through_the_bus(request_to, workers):
    client = request_to(path="/hello")
    message = await workers.take("http.request")
    assert message["path"] == "/hello"
    await workers.reply(message, status=200, headers=[(b"X-A", b"1")], content=b"hello")
    assert await client.answer() == (200, {b"x-a": b"1", b"content-length": b"5"}, b"hello")


async def test_requests_at_the_same_time_get_each_its_own_answer(server, workers):
    app = server()
    clients = [Request(app, path=f"/{number}").start() for number in range(20)]
    messages = [await workers.take("http.request") for _ in clients]
    for message in reversed(messages):
        await workers.reply(message, status=200, content=message["path"].encode())
    answers = [await client.answer() for client in clients]
    assert [body for _, _, body in answers] == [b"/%d" % number for number in range(20)]


async def test_a_root_path_of_the_options_is_in_the_message(request_to, workers):
    request_to(options={"root_path": "/app"}, path="/app/page")
    message = await workers.take("http.request")
    assert (message["root_path"], message["path"]) == ("/app", "/app/page")


async def test_a_body_that_comes_in_pieces_is_one(request_to, workers):
    request_to(b"one ", b"two ", b"three")
    assert (await workers.take("http.request"))["body"] == b"one two three"


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART])
async def test_a_short_body_travels_in_the_message(request_to, workers, size):
    request_to(b"x" * size)
    message = await workers.take("http.request")
    assert (len(message["body"]), "body_channel" in message) == (size, False)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"x" * (PART + 1)],
        [b"x" * PART, b"y"],
        [b"x", b"y" * (3 * PART)],
        [b"x" * PART, b"y" * PART, b""],
        [b"x" * 1000] * 2000,
    ],
    ids=["one event", "two events", "several parts", "an empty last event", "over 1 MiB"],
)
async def test_a_long_body_arrives_whole_and_in_parts(request_to, workers, pieces):
    request_to(*pieces)
    message = await workers.take("http.request")
    body, parts = await body_of(workers, message)
    assert body == b"".join(pieces)
    assert all(0 < len(part["content"]) <= PART for part in parts)


async def test_a_part_of_a_body_has_the_size_of_the_options(request_to, workers):
    request_to(b"abcdefgh", options={"body_part": 3})
    message = await workers.take("http.request")
    _, parts = await body_of(workers, message)
    assert [message["body"], *(part["content"] for part in parts)] == [b"abc", b"def", b"gh"]


async def test_only_the_last_part_of_a_body_has_no_more_content(request_to, workers):
    request_to(b"abcdefgh", options={"body_part": 3})
    _, parts = await body_of(workers, await workers.take("http.request"))
    assert [part["more_content"] for part in parts] == [True, False]


async def test_a_body_waits_for_its_worker_and_loses_nothing():
    layer = InMemoryChannelLayer(channel_capacity={"http.request.body*": 1})
    workers = Workers(layer)
    workers.read("http.request")
    Request(InterfaceServer(layer, body_part=10), b"0123456789" * 20).start()
    message = await workers.take("http.request")
    body, parts = await body_of(workers, message)
    assert (body, len(parts)) == (b"0123456789" * 20, 19)


async def test_a_body_that_is_announced_too_large_is_not_read(request_to):
    client = request_to(b"x" * 11, options={"max_body": 10}, headers=[(b"content-length", b"11")])
    status, _, body = await client.answer()
    assert (status, client.received) == (413, 0)
    assert b"10 bytes at most" in body


async def test_a_body_that_grows_too_large_is_refused(request_to, workers):
    client = request_to(b"12345", b"67890", b"1", b"more", options={"max_body": 10})
    status, _, _ = await client.answer()
    assert (status, client.received) == (413, 3)
    assert workers.waiting("http.request") == 0


async def test_a_body_of_the_largest_size_is_taken(request_to, workers):
    client = request_to(b"12345", b"67890", options={"max_body": 10})
    status, _, _ = await answered(client, workers)
    assert status == 200


async def test_a_length_that_is_no_number_is_left_to_the_engine(request_to, workers):
    client = request_to(b"abc", headers=[(b"content-length", b"x")])
    status, _, _ = await answered(client, workers)
    assert status == 200


# Nobody serves the request ----------------------------------------------------------------------


async def test_without_a_worker_the_answer_is_503_at_once(server):
    client = Request(server(), b"never read").start()
    status, headers, body = await client.answer()
    assert (status, headers[b"retry-after"], client.received) == (503, b"1", 0)
    assert b"No worker is running" in body


async def test_without_a_worker_the_log_names_the_channel(server, caplog):
    await Request(server()).start().done()
    assert "No worker reads the channel http.request: start one with 'manage.py runworker'" in (
        caplog.text
    )


@pytest.fixture
def full_layer():
    """A layer whose channel of requests has one place, which is taken."""
    layer = InMemoryChannelLayer(channel_capacity={"http.request": 1})
    layer.send("http.request", {"path": "/earlier"})
    layer.beat("worker", ["http.request"], ttl=60)
    return layer


async def test_a_full_channel_is_503(full_layer):
    client = Request(InterfaceServer(full_layer, full_wait=0.01)).start()
    status, headers, _ = await client.answer()
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert full_layer.receive(["http.request"]) == ("http.request", {"path": "/earlier"})


async def test_a_request_waits_a_while_for_room(full_layer):
    client = Request(InterfaceServer(full_layer, full_wait=5)).start()
    workers = Workers(full_layer)
    await until(lambda: full_layer.channel_statistics("http.request")["channel_full_count"])
    await workers.take("http.request")
    status, _, _ = await answered(client, workers)
    assert status == 200


async def test_a_layer_that_is_away_is_503(request_to, layer, monkeypatch):
    async def away(envelopes):
        raise LayerUnavailable

    monkeypatch.setattr(layer, "deliver_async", away)
    client = request_to(options={"full_wait": 0.01})
    status, headers, body = await client.answer()
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert b"cannot reach its workers" in body


async def test_a_head_that_is_too_large_for_the_bus_is_431():
    layer = InMemoryChannelLayer(max_message_size=1000)
    Workers(layer).read("http.request")
    client = Request(InterfaceServer(layer), headers=[(b"cookie", b"x" * 1000)]).start()
    status, _, _ = await client.answer()
    assert status == 431


async def test_no_answer_in_time_is_504(request_to, workers):
    client = request_to(options={"http_timeout": 0.01})
    status, headers, body = await client.answer()
    assert (status, headers[b"retry-after"]) == (504, b"5")
    assert b"did not answer in time" in body


# The answer -------------------------------------------------------------------------------------


async def test_each_part_of_an_answer_goes_out_as_it_comes(request_to, workers):
    client = request_to()
    message = await workers.take("http.request")
    await workers.reply(message, status=200, content=b"one", more_content=True)
    assert (await client.next_event())["status"] == 200
    assert (await client.next_event())["body"] == b"one"
    await workers.reply(message, content=b"two", more_content=True)
    assert await client.next_event() == {
        "type": "http.response.body",
        "body": b"two",
        "more_body": True,
    }
    await workers.reply(message, content=b"", more_content=False)
    assert (await client.next_event())["more_body"] is False
    assert await client.done() == []


async def test_an_answer_may_take_longer_than_the_timeout_when_its_parts_do_not(
    request_to, workers
):
    client = request_to(options={"http_timeout": 0.5})
    message = await workers.take("http.request")
    await workers.reply(message, status=200, more_content=True)
    for _ in range(3):
        await asyncio.sleep(0.2)  # the application takes its time
        await workers.reply(message, content=b"tick ", more_content=True)
    await workers.reply(message, content=b"end")
    _, _, body = await client.answer()
    assert body == b"tick tick tick end"


async def test_a_client_that_does_not_read_holds_its_sender_back():
    layer = InMemoryChannelLayer(capacity=5)
    workers = Workers(layer)
    workers.read("http.request")
    client = Request(InterfaceServer(layer)).start()
    message = await workers.take("http.request")
    client.stop_reading()

    async def stream():
        for _ in range(7):
            await workers.reply(message, content=b"x", more_content=True)
            await asyncio.sleep(0)  # the server may take it

    with pytest.raises(ChannelFull):
        await stream()


async def test_a_client_that_reads_again_gets_all():
    layer = InMemoryChannelLayer(capacity=3)
    workers = Workers(layer)
    workers.read("http.request")
    client = Request(InterfaceServer(layer)).start()
    message = await workers.take("http.request")
    client.stop_reading()
    await workers.reply(message, status=200, more_content=True)
    asyncio.get_running_loop().call_later(0.02, client.read_again)
    for number in range(20):
        while True:
            try:
                await workers.reply(message, content=b"%d " % number, more_content=number < 19)
            except ChannelFull:
                await asyncio.sleep(0.001)
            else:
                break
    _, _, body = await client.answer()
    assert body == b"".join(b"%d " % number for number in range(20))


@pytest.mark.parametrize(
    "reply",
    [
        {"content": b"no status"},
        {"text": "that is for sockets"},
        {"status": 200, "headers": [(b"location", b"/\r\nset-cookie: admin=1")]},
        {"status": 200, "headers": 5},
        {"status": 200, "content": "text"},
        {"status": 20},
    ],
)
async def test_an_answer_that_cannot_be_sent_is_500_and_logged(request_to, workers, reply, caplog):
    client = request_to(path="/broken")
    status, _, body = await answered(client, workers, **reply)
    assert status == 500
    assert b"set-cookie" not in body
    assert "Bad answer to /broken" in caplog.text


async def test_a_bad_part_cuts_the_connection(request_to, workers, caplog):
    client = request_to(path="/broken")
    message = await workers.take("http.request")
    await workers.reply(message, status=200, content=b"so far", more_content=True)
    await workers.reply(message, status=200)
    with pytest.raises(Exception, match="The answer could not be sent"):
        await client.done()
    assert "Cut an answer to /broken short" in caplog.text


async def test_an_answer_that_stops_half_way_is_cut(request_to, workers):
    client = request_to(options={"http_timeout": 0.01})
    message = await workers.take("http.request")
    await workers.reply(message, status=200, content=b"half", more_content=True)
    with pytest.raises(Exception, match="did not answer in time"):
        await client.done()


async def test_a_push_is_passed_over(request_to, workers):
    client = request_to()
    message = await workers.take("http.request")
    await workers.reply(message, request={"method": "GET", "path": "/style.css"})
    await workers.reply(message, status=200, content=b"page")
    status, _, body = await client.answer()
    assert (status, body) == (200, b"page")


async def test_what_follows_a_complete_answer_is_ignored(server, workers):
    app = server()
    client = Request(app).start()
    message = await workers.take("http.request")
    await workers.reply(message, status=200, content=b"all")
    await workers.reply(message, content=b"too late")
    assert (await client.answer())[2] == b"all"


async def test_an_answer_after_the_timeout_reaches_nobody(server, workers):
    app = server(http_timeout=0.01)
    late = Request(app, path="/late").start()
    message = await workers.take("http.request")
    await late.done()
    app.use(http_timeout=5)
    client = Request(app, path="/next").start()
    await workers.reply(message, status=200, content=b"late")
    _, _, body = await answered(client, workers, status=200, content=b"next")
    assert body == b"next"


async def test_a_group_may_answer_a_request(request_to, workers, layer):
    client = request_to()
    message = await workers.take("http.request")
    layer.group_add("waiting", message["reply_channel"])
    layer.send_group("waiting", {"status": 200, "content": b"for all of you"})
    _, _, body = await client.answer()
    assert body == b"for all of you"


# The client leaves ------------------------------------------------------------------------------


async def test_those_who_ask_hear_that_the_client_has_gone(request_to, workers):
    workers.read("http.disconnect")
    client = request_to(path="/slow")
    message = await workers.take("http.request")
    client.leave()
    assert await workers.take("http.disconnect") == {
        "reply_channel": message["reply_channel"],
        "path": "/slow",
        "request_id": message["request_id"],
    }
    assert await client.done() == []


async def test_nobody_is_told_that_the_client_has_gone_unless_he_asks(request_to, workers):
    client = request_to()
    await workers.take("http.request")
    client.leave()
    await client.done()
    assert workers.waiting("http.disconnect") == 0


async def test_a_complete_answer_is_no_disconnect(request_to, workers):
    workers.read("http.disconnect")
    client = request_to()
    await answered(client, workers)
    assert workers.waiting("http.disconnect") == 0


async def test_a_full_channel_of_disconnects_is_no_error():
    layer = InMemoryChannelLayer(capacity=1)
    workers = Workers(layer)
    workers.read("http.request", "http.disconnect")
    layer.send("http.disconnect", {"path": "/earlier"})
    client = Request(InterfaceServer(layer)).start()
    await workers.take("http.request")
    client.leave()
    assert await client.done() == []


async def test_an_answer_to_a_client_that_has_gone_is_dropped(request_to, workers, layer):
    client = request_to()
    message = await workers.take("http.request")
    client.leave()
    await client.done()
    await workers.reply(message, status=200, content=b"anybody there?")
    assert client.sent.empty()


async def test_a_request_whose_client_leaves_while_uploading_is_not_sent(request_to, workers):
    workers.read("http.disconnect")
    client = Request(request_to().app)  # nothing is uploaded yet
    client.incoming.get_nowait()
    client.upload(b"some", more=True)
    client.leave()
    await workers.take("http.request")  # the one before
    await client.start().done()
    assert (workers.waiting("http.request"), workers.waiting("http.disconnect")) == (0, 0)


async def test_a_worker_that_waits_for_a_body_hears_that_the_client_has_gone():
    layer = InMemoryChannelLayer(channel_capacity={"http.request.body*": 1})
    workers = Workers(layer)
    workers.read("http.request")
    client = Request(InterfaceServer(layer, body_part=10, full_wait=5), b"x" * 100).start()
    message = await workers.take("http.request")
    client.leave()
    await until(lambda: client.received == 2)
    while not (part := await workers.take(message["body_channel"])).get("closed"):
        assert part["more_content"]
    assert part == {"closed": True}
    await client.done()


async def test_a_stream_ends_when_its_client_leaves_however_fast_the_parts_come(
    request_to, workers
):
    workers.read("http.disconnect")
    client = request_to()
    message = await workers.take("http.request")
    await workers.reply(message, status=200, more_content=True)

    async def stream():
        while True:
            await asyncio.sleep(0.001)
            try:
                await workers.reply(message, content=b"tick", more_content=True)
            except ChannelFull:
                return

    streaming = asyncio.create_task(stream())
    for _ in range(5):
        await client.next_event()
    client.leave()
    assert (await workers.take("http.disconnect"))["reply_channel"] == message["reply_channel"]
    await client.task
    streaming.cancel()


# What is told of a request ----------------------------------------------------------------------


async def test_a_complete_request_is_told_to_the_action_logger(request_to, workers):
    told = []
    client = request_to(
        options={"action_logger": lambda *action: told.append(action)},
        path="/a b",
        query_string=b"c=d",
        client=("10.0.0.1", 4711),
    )
    await answered(client, workers, status=201, content=b"12345")
    [(protocol, action, details)] = told
    assert details.pop("time_taken") >= 0
    assert is_request_id(details.pop("request_id"))
    assert (protocol, action) == ("http", "complete")
    assert details == {
        "path": "/a%20b?c=d",
        "status": 201,
        "method": "GET",
        "client": "10.0.0.1:4711",
        "size": 5,
        "scheme": "http",
        "http_version": "1.1",
        "headers": client.scope["headers"],
    }


async def test_a_peer_without_an_address_is_told_as_none(request_to, workers):
    told = []
    client = request_to(options={"action_logger": lambda *action: told.append(action)})
    await answered(client, workers)
    assert told[0][2]["client"] is None


async def test_a_page_of_the_servers_own_is_told_too(server):
    told = []
    await Request(server(action_logger=lambda *action: told.append(action))).start().done()
    assert told[0][2]["status"] == 503


async def test_the_log_of_a_dead_bus_is_one_line_for_many_requests(server, caplog):
    app = server()
    with caplog.at_level(logging.ERROR, LOGGER):
        for _ in range(5):
            await Request(app).start().done()
    assert len(caplog.records) == 1
