"""One WebSocket through the server, with hand-written ends: the client's and the workers'."""

from __future__ import annotations

import asyncio
import logging

import pytest

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer
from tests.server.ends import Socket, Workers, until

LOGGER = "channels_classic.server"
ACCEPTED = {"type": "websocket.accept", "subprotocol": None}
DENIAL = {"extensions": {"websocket.http.response": {}}}


def sent(**frame):
    return {"type": "websocket.send", **frame}


def closed(code=1000):
    return {"type": "websocket.close", "code": code}


async def opened(socket, workers):
    """The ``websocket.connect`` message of ``socket``, which a consumer has accepted."""
    message = await workers.take("websocket.connect")
    await workers.reply(message, accept=True)
    assert await socket.next_event() == {"type": "websocket.accept", "subprotocol": None}
    return message


def limited(**capacities):
    """Workers on a layer with these capacities; ``_`` stands for ``.``."""
    names = {name.replace("_", "."): capacity for name, capacity in capacities.items()}
    workers = Workers(InMemoryChannelLayer(channel_capacity=names))
    workers.read("websocket.connect", "websocket.receive", "websocket.disconnect")
    return workers


# The handshake ----------------------------------------------------------------------------------


async def test_a_handshake_is_a_connect_message(socket_to, workers):
    headers = [(b"host", b"example.com"), (b"origin", b"http://a.example")]
    socket_to(path="/chat", query_string=b"room=1", headers=headers)
    message = await workers.take("websocket.connect")
    process, local = message.pop("reply_channel").removeprefix("server.reply.").split("!")
    assert message.pop("request_id") == f"{process}-{local}"
    assert message == {
        "scheme": "ws",
        "path": "/chat",
        "query_string": b"room=1",
        "root_path": "",
        "headers": [list(pair) for pair in headers],
        "client": None,
        "server": None,
        "order": 0,
    }


async def test_a_root_path_of_the_options_is_in_the_message(socket_to, workers):
    socket_to(options={"root_path": "/app"})
    assert (await workers.take("websocket.connect"))["root_path"] == "/app"


async def test_a_consumer_opens_the_socket(socket_to, workers):
    socket = socket_to()
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    assert await socket.next_event() == ACCEPTED


async def test_data_opens_the_socket(socket_to, workers):
    socket = socket_to()
    await workers.reply(await workers.take("websocket.connect"), text="welcome")
    assert [await socket.next_event(), await socket.next_event()] == [
        ACCEPTED,
        sent(text="welcome"),
    ]


async def test_the_first_offered_subprotocol_that_is_known_is_accepted(socket_to, workers):
    socket = socket_to(options={"ws_protocols": ["b", "c"]}, subprotocols=["a", "c", "b"])
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    assert (await socket.next_event())["subprotocol"] == "c"


@pytest.mark.parametrize("reply", [{"accept": False}, {"close": True}, {"close": 4000}])
async def test_a_consumer_refuses_the_socket(socket_to, workers, reply):
    socket = socket_to()
    await workers.reply(await workers.take("websocket.connect"), **reply)
    assert await socket.done() == [closed()]


UNAUTHORIZED = {"status": 401, "headers": [(b"www-authenticate", b"Basic")], "content": b"Who?"}


async def test_a_consumer_refuses_the_socket_with_a_status_of_its_own(socket_to, workers):
    socket = socket_to(**DENIAL)
    await workers.reply(await workers.take("websocket.connect"), **UNAUTHORIZED)
    [head, body] = await socket.done()
    assert (head["type"], head["status"]) == ("websocket.http.response.start", 401)
    assert dict(head["headers"])[b"www-authenticate"] == b"Basic"
    assert (body["type"], body["body"]) == ("websocket.http.response.body", b"Who?")
    assert workers.waiting("websocket.disconnect") == 0


async def test_where_the_engine_has_no_pages_for_sockets_a_status_is_a_refusal(socket_to, workers):
    socket = socket_to()
    await workers.reply(await workers.take("websocket.connect"), **UNAUTHORIZED)
    assert await socket.done() == [closed()]


@pytest.mark.parametrize("bad", [{"more_content": True}, {"status": "401"}, {"accept": False}])
async def test_a_bad_response_to_a_handshake_refuses_it_and_is_logged(
    socket_to, workers, bad, caplog
):
    socket = socket_to(**DENIAL)
    await workers.reply(await workers.take("websocket.connect"), **{**UNAUTHORIZED, **bad})
    assert await socket.done() == [closed(1011)]
    assert "Bad reply to the WebSocket on /chat" in caplog.text


async def test_a_refused_socket_has_no_disconnect(socket_to, workers):
    socket = socket_to()
    await workers.reply(await workers.take("websocket.connect"), accept=False)
    await socket.done()
    assert workers.waiting("websocket.disconnect") == 0


async def test_a_bad_reply_refuses_the_socket(socket_to, workers, caplog):
    socket = socket_to()
    await workers.reply(await workers.take("websocket.connect"), acept=True)
    assert await socket.done() == [closed(1011)]
    assert "Bad reply to the WebSocket on /chat" in caplog.text
    assert workers.waiting("websocket.disconnect") == 0


async def test_without_an_answer_in_time_the_socket_is_refused(socket_to, workers, caplog):
    socket = socket_to(options={"websocket_connect_timeout": 0.01})
    assert await socket.done() == [closed()]
    assert workers.waiting("websocket.disconnect") == 0


async def test_the_log_says_what_a_missing_answer_means(socket_to, caplog):
    await socket_to(options={"websocket_connect_timeout": 0.01}).done()
    assert "answered the WebSocket on /chat within 0.01 s" in caplog.text
    assert 'must send {"accept": True}' in caplog.text


async def test_a_client_that_leaves_in_the_handshake_has_no_disconnect(socket_to, workers):
    socket = socket_to()
    message = await workers.take("websocket.connect")
    socket.leave(1006)
    assert await socket.done() == []
    await workers.reply(message, accept=True)  # too late, and no error
    assert workers.waiting("websocket.disconnect") == 0


@pytest.mark.parametrize("trouble", ["no worker", "full", "away"])
async def test_a_socket_that_nobody_can_serve_is_503(trouble, monkeypatch):
    workers = limited(websocket_connect=1)
    if trouble == "no worker":
        workers = Workers(InMemoryChannelLayer())
    elif trouble == "full":
        workers.layer.send("websocket.connect", {"path": "/earlier"})
    else:

        async def away(envelopes):
            raise LayerUnavailable

        monkeypatch.setattr(workers.layer, "deliver_async", away)
    socket = Socket(InterfaceServer(workers.layer, full_wait=0.01), **DENIAL).start()
    [head, body] = await socket.done()
    assert (head["type"], head["status"]) == ("websocket.http.response.start", 503)
    assert dict(head["headers"])[b"retry-after"] == b"1"
    assert (body["type"], body["more_body"]) == ("websocket.http.response.body", False)


async def test_where_the_engine_has_no_pages_for_sockets_it_is_a_plain_refusal(server):
    assert await Socket(server()).start().done() == [closed(1013)]


async def test_without_a_worker_the_log_names_the_channel(server, caplog):
    await Socket(server()).start().done()
    assert "No worker reads the channel websocket.connect" in caplog.text


async def test_a_socket_that_nobody_can_serve_has_no_disconnect():
    workers = limited(websocket_connect=1)
    workers.layer.send("websocket.connect", {"path": "/earlier"})
    await Socket(InterfaceServer(workers.layer, full_wait=0.01)).start().done()
    assert workers.waiting("websocket.disconnect") == 0


# Frames from the client -------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [{"text": "hi"}, {"text": ""}, {"bytes": b"hi"}, {"bytes": b""}])
async def test_a_frame_is_a_message(socket_to, workers, frame):
    socket = socket_to()
    message = await opened(socket, workers)
    socket.say(frame.get("text"), frame.get("bytes"))
    assert await workers.take("websocket.receive") == {
        "reply_channel": message["reply_channel"],
        "path": "/chat",
        "order": 1,
        "request_id": message["request_id"],
        **frame,
    }


async def test_frames_are_counted_from_one(socket_to, workers):
    socket = socket_to()
    await opened(socket, workers)
    for text in "abc":
        socket.say(text)
    frames = [await workers.take("websocket.receive") for _ in "abc"]
    assert [(f["order"], f["text"]) for f in frames] == [(1, "a"), (2, "b"), (3, "c")]


async def test_frames_wait_while_their_channel_is_full_and_none_is_lost():
    workers = limited(websocket_receive=1)
    socket = Socket(InterfaceServer(workers.layer)).start()
    await opened(socket, workers)
    for number in range(20):
        socket.say(str(number))
    frames = [await workers.take("websocket.receive") for _ in range(20)]
    assert [frame["text"] for frame in frames] == [str(number) for number in range(20)]


async def test_a_client_is_not_read_from_while_its_frame_waits():
    workers = limited(websocket_receive=1)
    socket = Socket(InterfaceServer(workers.layer)).start()
    await opened(socket, workers)
    workers.layer.send("websocket.receive", {"text": "somebody else's"})
    for _ in range(5):
        socket.say("hi")
    full = workers.layer.channel_statistics
    await until(lambda: full("websocket.receive")["channel_full_count"] > 3)
    assert socket.received == 2  # the connect, and the frame that waits


async def test_a_frame_that_is_too_large_for_the_bus_closes_with_1009():
    workers = Workers(InMemoryChannelLayer(max_message_size=500))
    workers.read("websocket.connect", "websocket.receive")
    socket = Socket(InterfaceServer(workers.layer)).start()
    await opened(socket, workers)
    socket.say("x" * 600)
    assert await socket.next_event() == closed(1009)


# Replies to the client --------------------------------------------------------------------------


async def test_replies_arrive_in_their_order(socket_to, workers):
    socket = socket_to()
    message = await opened(socket, workers)
    for number in range(50):
        await workers.reply(message, text=str(number))
    assert [await socket.next_event() for _ in range(50)] == [sent(text=str(n)) for n in range(50)]


async def test_an_empty_reply_is_a_frame(socket_to, workers):
    socket = socket_to()
    message = await opened(socket, workers)
    await workers.reply(message, text="")
    await workers.reply(message, bytes=b"")
    assert [await socket.next_event(), await socket.next_event()] == [
        sent(text=""),
        sent(bytes=b""),
    ]


@pytest.mark.parametrize(
    ("close", "code"), [(True, 1000), (1001, 1001), (1013, 1013), (4999, 4999)]
)
async def test_a_consumer_closes_the_socket(socket_to, workers, close, code):
    socket = socket_to()
    await workers.reply(await opened(socket, workers), close=close)
    assert await socket.next_event() == closed(code)


async def test_data_goes_out_before_the_close(socket_to, workers):
    socket = socket_to()
    await workers.reply(await opened(socket, workers), text="bye", close=4000)
    assert [await socket.next_event(), await socket.next_event()] == [
        sent(text="bye"),
        closed(4000),
    ]


async def test_nothing_is_sent_after_the_close(socket_to, workers):
    socket = socket_to()
    message = await opened(socket, workers)
    await workers.reply(message, close=True)
    await workers.reply(message, text="one more thing")
    await workers.reply(message, close=4000)
    assert await socket.next_event() == closed()
    socket.leave()
    assert await socket.done() == []


@pytest.mark.parametrize(
    "reply",
    [
        {"close": 1006},
        {"close": "bye"},
        {"text": "a", "bytes": b"b"},
        {"text": 5},
        {"bytes": 5},
        {"text": {"a": 1}},
        {"status": 200},
    ],
)
async def test_a_bad_reply_closes_with_1011_and_is_logged(socket_to, workers, reply, caplog):
    socket = socket_to()
    await workers.reply(await opened(socket, workers), **reply)
    assert await socket.next_event() == closed(1011)
    assert "Bad reply to the WebSocket on /chat" in caplog.text


async def test_a_bad_reply_disturbs_no_other_socket(server, workers):
    app = server()
    bad, good = Socket(app).start(), Socket(app).start()
    to_bad, to_good = await opened(bad, workers), await opened(good, workers)
    if not to_bad["reply_channel"].endswith("!1"):
        to_bad, to_good = to_good, to_bad
    for reply in ({"text": 5}, {"close": 7}):
        await workers.reply(to_bad, **reply)
    began = asyncio.get_running_loop().time()
    await workers.reply(to_good, text="hi")
    assert await good.next_event() == sent(text="hi")
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_group_reaches_its_members(server, workers, layer):
    app = server()
    sockets = [Socket(app).start() for _ in range(3)]
    for socket in sockets:
        layer.group_add("chat", (await opened(socket, workers))["reply_channel"])
    layer.send_group("chat", {"text": "hello all"})
    assert [await each.next_event() for each in sockets] == [sent(text="hello all")] * 3


async def test_a_closed_socket_is_in_no_group(socket_to, workers, layer):
    socket = socket_to()
    layer.group_add("chat", (await opened(socket, workers))["reply_channel"])
    socket.leave()
    await socket.done()
    assert layer.group_channels("chat") == []


async def test_a_reply_to_a_closed_socket_is_dropped(server, workers):
    app = server()
    gone, there = Socket(app).start(), Socket(app).start()
    to_gone, to_there = await opened(gone, workers), await opened(there, workers)
    gone.leave()
    await gone.done()
    await workers.reply(to_gone, text="anybody?")
    await workers.reply(to_there, text="yes")
    assert await there.next_event() == sent(text="yes")
    assert gone.sent.empty()


# A client that does not read --------------------------------------------------------------------


async def stuck_member(options):
    """A socket that does not read, and a layer whose group ``chat`` it is in."""
    workers = limited()
    socket = Socket(InterfaceServer(workers.layer, **options)).start()
    workers.layer.group_add("chat", (await opened(socket, workers))["reply_channel"])
    socket.stop_reading()
    return socket, workers.layer


async def test_a_client_that_lets_too_many_messages_wait_is_closed_with_1013(caplog):
    socket, layer = await stuck_member({"max_pending": 3})
    for number in range(6):
        layer.send_group("chat", {"text": str(number)})
    await until(lambda: "does not read" in caplog.text)
    socket.read_again()
    assert await socket.next_event() == closed(1013)


async def test_a_client_that_lets_too_many_bytes_wait_is_closed_with_1013(caplog):
    socket, layer = await stuck_member({"max_pending_bytes": 1000})
    for _ in range(3):
        layer.send_group("chat", {"bytes": b"x" * 600})
    await until(lambda: "does not read" in caplog.text)
    socket.read_again()
    assert await socket.next_event() == closed(1013)


async def test_a_message_may_be_larger_than_what_may_wait(socket_to, workers):
    """Nothing waits: each is on its way at once."""
    socket = socket_to(options={"max_pending_bytes": 1000})
    message = await opened(socket, workers)
    for _ in range(2):
        await workers.reply(message, bytes=b"x" * 2000)
        assert await socket.next_event() == sent(bytes=b"x" * 2000)


async def test_clients_that_do_not_read_are_counted_under_their_process():
    socket, layer = await stuck_member({"max_pending": 3})
    process = socket.app._bus.replies.process
    for number in range(6):
        layer.send_group("chat", {"text": str(number)})
    await until(lambda: layer.channel_statistics(process)[Counter.OVERFLOW])
    assert layer.channel_statistics(process)[Counter.OVERFLOW] == 1


async def test_many_clients_that_do_not_read_are_one_line_in_the_log(caplog):
    workers = limited()
    app = InterfaceServer(workers.layer, max_pending=1)
    for _ in range(5):
        socket = Socket(app).start()
        workers.layer.group_add("chat", (await opened(socket, workers))["reply_channel"])
        socket.stop_reading()
    for _ in range(5):
        workers.layer.send_group("chat", {"text": "hi"})
    process = app._bus.replies.process
    await until(lambda: workers.layer.channel_statistics(process)[Counter.OVERFLOW] == 5)
    assert caplog.text.count("does not read") == 1


async def test_a_client_that_reads_in_time_loses_nothing():
    socket, layer = await stuck_member({"max_pending": 10})
    for number in range(10):
        layer.send_group("chat", {"text": str(number)})
    socket.read_again()
    assert [await socket.next_event() for _ in range(10)] == [sent(text=str(n)) for n in range(10)]


async def test_a_client_that_does_not_read_holds_those_back_who_write_to_it_alone():
    workers = Workers(InMemoryChannelLayer(capacity=5))
    workers.read("websocket.connect")
    socket = Socket(InterfaceServer(workers.layer)).start()
    message = await opened(socket, workers)
    socket.stop_reading()

    async def write():
        for _ in range(7):
            await workers.reply(message, text="hi")
            await asyncio.sleep(0)

    with pytest.raises(ChannelFull):
        await write()


async def test_what_has_reached_the_client_makes_room():
    workers = Workers(InMemoryChannelLayer(capacity=2))
    workers.read("websocket.connect")
    socket = Socket(InterfaceServer(workers.layer)).start()
    message = await opened(socket, workers)
    for number in range(20):
        await workers.reply(message, text=str(number))
        assert await socket.next_event() == sent(text=str(number))
        await until(lambda: not workers.layer.store.waiting)


# The end ----------------------------------------------------------------------------------------


async def test_a_disconnect_has_the_code_and_comes_after_the_frames(socket_to, workers):
    socket = socket_to()
    message = await opened(socket, workers)
    socket.say("one")
    socket.say("two")
    socket.leave(4001)
    assert [(await workers.take("websocket.receive"))["text"] for _ in range(2)] == ["one", "two"]
    await socket.done()
    assert await workers.take("websocket.disconnect") == {
        "reply_channel": message["reply_channel"],
        "code": 4001,
        "path": "/chat",
        "order": 3,
        "request_id": message["request_id"],
    }


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"code": 1000, "reason": ""}, 1000),
        ({"code": 1005, "reason": ""}, None),
        ({"code": 1005}, 1006),
        ({"code": 1006}, 1006),
        ({}, None),
    ],
)
async def test_a_disconnect_tells_how_the_socket_ended(socket_to, workers, event, code):
    socket = socket_to()
    await opened(socket, workers)
    socket.incoming.put_nowait({"type": "websocket.disconnect", **event})
    assert (await workers.take("websocket.disconnect"))["code"] == code


async def test_a_socket_that_was_open_has_one_disconnect(socket_to, workers):
    socket = socket_to()
    await opened(socket, workers)
    socket.leave()
    await socket.done()
    assert workers.waiting("websocket.disconnect") == 1


async def test_a_socket_that_a_consumer_closes_has_one_disconnect(socket_to, workers):
    socket = socket_to()
    await workers.reply(await opened(socket, workers), close=4000)
    await socket.next_event()
    socket.leave(4000)
    await socket.done()
    assert workers.waiting("websocket.disconnect") == 1
    assert (await workers.take("websocket.disconnect"))["code"] == 4000


async def test_a_socket_whose_client_left_while_it_was_accepted_has_one_disconnect(
    socket_to, workers
):
    socket = socket_to()
    socket.stop_reading()
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    await socket.sending.wait()
    socket.leave(1006)
    await socket.done()
    assert workers.waiting("websocket.disconnect") == 1


async def test_a_disconnect_is_sent_while_no_worker_is_there():
    """They are being restarted: the message waits for them."""
    workers = limited()
    socket = Socket(InterfaceServer(workers.layer)).start()
    await opened(socket, workers)
    workers.layer.withdraw("worker", ["websocket.connect", "websocket.disconnect"])
    socket.leave()
    await socket.done()
    assert workers.waiting("websocket.disconnect") == 1


async def test_a_disconnect_waits_for_room():
    workers = limited(websocket_disconnect=1)
    workers.layer.send("websocket.disconnect", {"path": "/earlier"})
    socket = Socket(InterfaceServer(workers.layer)).start()
    await opened(socket, workers)
    socket.leave()
    full = workers.layer.channel_statistics
    await until(lambda: full("websocket.disconnect")["channel_full_count"])
    assert (await workers.take("websocket.disconnect"))["path"] == "/earlier"
    assert (await workers.take("websocket.disconnect"))["path"] == "/chat"


async def test_a_socket_lives_no_longer_than_the_timeout(socket_to, workers):
    socket = socket_to(options={"websocket_timeout": 0.05})
    await opened(socket, workers)
    assert await socket.next_event() == closed(1000)
    socket.leave()
    await socket.done()
    assert workers.waiting("websocket.disconnect") == 1


async def test_the_timer_of_a_socket_ends_with_it(socket_to, workers):
    socket = socket_to(options={"websocket_timeout": 0.05})
    await opened(socket, workers)
    socket.leave()
    assert await socket.done() == []
    await asyncio.sleep(0.06)  # past the timeout
    assert socket.sent.empty()


async def test_an_engine_that_cannot_send_any_more_is_no_error(server, workers, caplog):
    socket = Socket(server())

    async def broken(event):
        raise OSError("connection lost")

    socket._send = broken
    socket.start()
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    socket.leave(1006)
    with caplog.at_level(logging.WARNING, LOGGER):
        assert await socket.done() == []
    assert caplog.records == []


# What is told of a socket -----------------------------------------------------------------------


def told_by(socket_to, **scope):
    told = []
    options = {"action_logger": lambda *action: told.append(action)}
    return socket_to(options=options, **scope), told


async def test_the_steps_of_a_socket_are_told_to_the_action_logger(socket_to, workers):
    socket, told = told_by(socket_to, path="/a b", client=("10.0.0.1", 4711))
    message = await opened(socket, workers)
    socket.leave(4001)
    await socket.done()
    assert told[-1][2].pop("time_taken") >= 0
    details = {
        "path": "/a%20b",
        "client": "10.0.0.1:4711",
        "request_id": message["request_id"],
        "scheme": "ws",
        "headers": socket.scope["headers"],
    }
    assert told == [
        ("websocket", "connecting", details),
        ("websocket", "connected", details),
        ("websocket", "disconnected", {**details, "code": 4001}),
    ]


async def test_a_refused_socket_is_told_as_rejected(socket_to, workers):
    socket, told = told_by(socket_to)
    await workers.reply(await workers.take("websocket.connect"), accept=False)
    await socket.done()
    assert [action for _, action, _ in told] == ["connecting", "rejected"]
