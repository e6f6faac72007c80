"""The example's headlines, on the memory layer and without any process."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from channels_classic import channel_layers
from channels_classic.dispatch import dispatch
from channels_classic.message import Message

ME = "test.reply.server!me"


@pytest.fixture
def headlines(site) -> Any:
    return import_module("headlines.models").Headline.objects


def stream(path: str = "/headlines/stream/", last: bytes = b"") -> str:
    """What a client of the stream is sent first."""
    layer = channel_layers["default"]
    content = {
        "reply_channel": ME,
        "method": "GET",
        "path": path,
        "headers": [(b"host", b"testserver"), (b"last-event-id", last)],
    }
    dispatch(Message(content, "http.request", layer), layer.router).outbox.flush()
    answer = received(layer)
    assert answer["status"] == 200
    return answer["content"].decode()


def received(layer: Any) -> dict[str, Any]:
    return layer.receive(["test.reply.server!"])[1]


def test_what_is_posted_goes_to_both_streams(site, client, headlines):
    for path in ["/headlines/stream/", "/headlines/htmx/stream/"]:
        stream(path)
    assert client.post("/headlines/", {"text": " <b>News</b> "}).status_code == 204
    number = headlines.get().pk
    assert [received(site)["content"].decode() for _ in range(2)] == [
        f'data: {{"text": "<b>News</b>"}}\nevent: headline\nid: {number}\n\n',
        f"data: <li>&lt;b&gt;News&lt;/b&gt;</li>\nevent: headline\nid: {number}\n\n",
    ]


@pytest.mark.parametrize("text", ["", "  ", "x" * 201])
def test_what_cannot_be_stored_is_refused_with_a_reason(site, client, headlines, text):
    answer = client.post("/headlines/", {"text": text})
    assert (answer.status_code, len(answer.content) > 10) == (400, True)
    assert not headlines.exists()


def test_a_new_client_begins_with_the_latest_in_their_order(site, headlines):
    for number in range(30):
        headlines.create(text=f"number {number}")
    shown = [line for line in stream().splitlines() if line.startswith("data")]
    assert shown == [f'data: {{"text": "number {number}"}}' for number in range(10, 30)]


def test_a_client_that_comes_back_gets_what_it_missed(site, headlines):
    made = [headlines.create(text=f"number {number}") for number in range(30)]
    missed = stream(last=str(made[2].pk).encode())
    assert missed.count("id: ") == 27
    assert f"id: {made[3].pk}\n" in missed


def test_an_id_that_is_none_of_ours_is_that_of_a_new_client(site, headlines):
    headlines.create(text="the only one")
    assert "the only one" in stream(last="²' OR 1=1".encode())
