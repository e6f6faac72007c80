"""What the consumers of the page do, on a worker."""

from __future__ import annotations

import asyncio

from django.test import RequestFactory

from channels_classic import Group, channel_layers
from channels_classic.dispatch import dispatch, find, run_async
from channels_classic.exceptions import ResponseLater
from channels_classic.message import Message

LAYER = channel_layers["default"]


def run(channel: str, **content: object) -> list[dict[str, object]]:
    """What a message is answered."""
    message = Message({"reply_channel": "server!1", **content}, channel, LAYER)
    match = find(message, LAYER.router)
    assert match is not None
    result = (
        asyncio.run(run_async(message, match))
        if match.is_async
        else dispatch(message, LAYER.router)
    )
    result.outbox.flush()
    found = []
    while (answer := LAYER.receive(["server!"])[1]) is not None:
        found.append(answer)
    return found


assert run("websocket.connect", path="/kitchen/", headers=[]) == [{"accept": True}]
assert run("websocket.connect", path="/cellar/", headers=[]) == [{"close": True}]
other = [(b"origin", b"https://elsewhere.org")]
assert run("websocket.connect", path="/kitchen/", headers=other) == [{"close": True}]
own = [(b"origin", b"https://www.example.com")]
assert run("websocket.connect", path="/kitchen/", headers=own) == [{"accept": True}]
assert run("websocket.receive", path="/kitchen/", text="a") == [
    {"text": '{"room": "kitchen", "text": "a"}'}
]
assert run("websocket.receive", path="/kitchen/", text="bye") == [{"close": 4000}]
assert run("websocket.disconnect", path="/kitchen/", code=1000) == []
[answer] = run("http.request", path="/beat", method="GET")
assert answer["status"] == 200
assert answer["content"] == b"alive"

assert run("websocket.connect", path="/room/kitchen/", headers=[]) == [{"accept": True}]
[answer] = run("websocket.receive", path="/room/kitchen/", text='{"text": "a"}')
assert answer == {"text": '{"from": "somebody", "text": "a"}'}
assert run("websocket.disconnect", path="/room/kitchen/", code=1000) == []
assert run("websocket.connect", path="/room/cellar/", headers=[]) == [{"close": True}]

Group("readers").add("server!1")
assert run("news.fetch") == [{"text": "news"}]
assert LAYER.receive(["news.fetched"]) == ("news.fetched", {"number": 1})

from project import consumers, streams, tasks, views  # noqa: E402 - the page's own

consumers.count(Message({"reply_channel": "server!1"}, "count", LAYER))
assert [LAYER.receive(["server!"])[1]["text"] for _ in range(3)] == ["0", "1", "2"]

frame = Message(
    {
        "reply_channel": "server!1",
        "path": "/",
        "text": '{"stream": "echo", "payload": {"text": "a"}}',
    },
    "websocket.receive",
    LAYER,
)
streams.Streams(frame)
expected = '{"stream": "echo", "payload": {"said": "a"}}'
assert LAYER.receive(["server!"])[1] == {"text": expected}
tasks.Mail(Message({"to": "ann"}, "mail.send", LAYER))

request = RequestFactory().get("/")
request.reply_channel = Message({"reply_channel": "server!2"}, "http.request", LAYER).reply_channel
request.ResponseLater = ResponseLater
try:
    views.wait_for_news(request)
except ResponseLater:
    assert list(LAYER.group_channels("waiting-for-news")) == ["server!2"]
else:
    raise AssertionError("no ResponseLater")

from unittest import mock  # noqa: E402

from django.contrib.auth.models import User  # noqa: E402

from project import events  # noqa: E402

ann = User(pk=7, username="ann", is_staff=True)
asking = {"path": "/arrivals/", "method": "GET", "headers": [(b"host", b"localhost")]}
assert run("http.request", **asking)[0]["status"] == 403
with (
    mock.patch.object(User, "objects") as users,
    mock.patch("channels_classic.auth.get_user", return_value=ann),
):
    users.filter.return_value.order_by.return_value = [ann]
    [answer] = run("http.request", **asking)
    users.filter.assert_called_once_with(pk__gt=0)
event = b'data: {"name": "ann"}\nevent: user\nid: 7\n\n'
assert (answer["status"], answer["content"]) == (200, event)
events.announce(ann)
assert LAYER.receive(["server!"])[1] == {"content": event, "more_content": True}
