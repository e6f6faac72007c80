"""The translation, whatever clients and consumers put into it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from channels_classic.layers.codec import Codec
from channels_classic.server import translate

CODEC = Codec(max_size=10_000_000)
TOKEN = re.compile(rb"[^\r\n\0]+")
any_case = settings(max_examples=150)

# What clients send --------------------------------------------------------------------------

bytes_ = st.binary(max_size=30)
text = st.text(max_size=30)
#: A path as ASGI servers decode it: UTF-8, or with replacements.
paths = text.map(lambda path: "/" + path)
scopes = st.fixed_dictionaries(
    {
        "type": st.just("http"),
        "method": st.sampled_from(["GET", "POST", "HEAD", "PROPFIND"]),
        "path": paths,
        "headers": st.lists(st.tuples(bytes_, bytes_), max_size=6),
    },
    optional={
        "http_version": st.sampled_from(["1.0", "1.1", "2"]),
        "scheme": st.sampled_from(["http", "https", "ws", "wss"]),
        "query_string": bytes_,
        "root_path": paths,
        "client": st.none() | st.tuples(text, st.integers(0, 65535)),
        "server": st.none() | st.tuples(text, st.none() | st.integers(0, 65535)),
    },
)


def carried(content: dict[str, Any]) -> dict[str, Any]:
    """As it comes off the bus."""
    return CODEC.decode(CODEC.encode(content))


@any_case
@given(scopes, bytes_, st.none() | st.just("http.request.body?a"), paths | st.just(""))
def test_a_request_goes_over_the_bus_as_it_is(scope, body, body_channel, root_path):
    content = translate.http_request(
        scope, reply_channel="p!1", root_path=root_path, body=body, body_channel=body_channel
    )
    found = carried(content)
    assert (found["method"], found["path"], found["body"]) == (scope["method"], scope["path"], body)
    assert found["root_path"] == (root_path or scope.get("root_path", ""))
    assert found["query_string"] == scope.get("query_string", b"")
    assert found.get("body_channel") == body_channel
    kept = [list(pair) for pair in scope["headers"] if b"_" not in pair[0]]
    assert found["headers"] == kept


@any_case
@given(scopes)
def test_a_handshake_goes_over_the_bus_as_it_is(scope):
    found = carried(translate.websocket_connect(scope, reply_channel="p!1", root_path=""))
    assert (found["path"], found["order"]) == (scope["path"], 0)
    assert found["headers"] == [list(pair) for pair in scope["headers"] if b"_" not in pair[0]]


@any_case
@given(st.builds(dict, text=text) | st.builds(dict, bytes=bytes_), st.integers(0, 2**31), paths)
def test_a_frame_goes_over_the_bus_as_it_is_also_an_empty_one(event, order, path):
    found = carried(translate.websocket_receive(event, reply_channel="p!1", path=path, order=order))
    assert found == {"reply_channel": "p!1", "path": path, "order": order, **event}


# What consumers answer ----------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text | bytes_,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
pairs = st.lists(
    st.tuples(text | bytes_, text | bytes_) | st.lists(anything, max_size=3) | anything, max_size=4
)
responses = st.fixed_dictionaries(
    {},
    optional={
        "status": st.integers(100, 1000) | anything,
        "headers": pairs | anything,
        "content": bytes_ | anything,
        "more_content": st.booleans() | anything,
        "status_text": anything,
        "heartbeat": st.floats() | anything,
        "request": anything,
        "unknown": anything,
    },
)
replies = st.fixed_dictionaries(
    {},
    optional={
        "text": text | anything,
        "bytes": bytes_ | anything,
        "accept": st.booleans() | anything,
        "close": st.booleans() | st.integers(-10, 5010) | anything,
        "unknown": anything,
    },
)


@any_case
@given(responses, st.booleans())
def test_a_response_is_sound_http_or_a_bad_reply(content, started):
    try:
        events = translate.http_events(content, started=started)
    except translate.BadReply:
        return
    if not events:
        assert "request" in content
        assert not started
        return
    *starts, body = events
    assert [each["type"] for each in starts] == [] if started else ["http.response.start"]
    assert type(body["body"]) is bytes
    assert type(body["more_body"]) is bool
    for start in starts:
        assert 200 <= start["status"] <= 999
        for name, value in start["headers"]:
            assert TOKEN.fullmatch(name)
            assert name == name.lower()
            assert not value or TOKEN.fullmatch(value)


@any_case
@given(replies, st.booleans(), st.none() | st.just("chat"))
def test_a_reply_to_a_socket_is_sound_or_a_bad_reply(content, accepted, subprotocol):
    try:
        events = translate.websocket_events(content, accepted=accepted, subprotocol=subprotocol)
    except translate.BadReply:
        return
    kinds = [each["type"].removeprefix("websocket.") for each in events]
    allowed = [["send"], ["close"], ["send", "close"], []]
    assert (
        kinds in allowed
        if accepted
        else kinds
        in [["accept", *each] for each in allowed]
        + [
            ["close"],
            [],
        ]
    )
    for event in events:
        if event["type"] == "websocket.send":
            assert type(event.get("text", "")) is str
            assert type(event.get("bytes", b"")) is bytes
            assert ("text" in event) != ("bytes" in event)
        if event["type"] == "websocket.close":
            code = event["code"]
            assert code in (1000, 1001, 1003, *range(1007, 1015)) or 3000 <= code <= 4999


markup = st.text("<>&'\";ab/", max_size=20) | text


@any_case
@given(markup, markup)
def test_an_error_page_shows_markup_as_text(title, sentence):
    start, body = translate.error_events(500, title, sentence)
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])
    shown: list[str] = []
    parser = HTMLParser()
    parser.handle_data = shown.append
    parser.feed(body["body"].decode())
    parser.close()
    assert "".join(shown) == f"500 {title}{title}{sentence}"
