"""ASGI scopes and events to message content, and back."""

from __future__ import annotations

import pytest

from channels_classic.server.translate import (
    BadReply,
    choose_subprotocol,
    error_events,
    http_disconnect,
    http_events,
    http_request,
    websocket_connect,
    websocket_disconnect,
    websocket_events,
    websocket_receive,
)

REPLY = "server.reply.abc!1"


def scope(**changes):
    """An ASGI scope with nothing that may be left out, but for what the test adds."""
    return {"type": "http", "method": "GET", "path": "/page", "headers": [], **changes}


def request(changes=None, *, root_path="", **more):
    return http_request(scope(**(changes or {})), reply_channel=REPLY, root_path=root_path, **more)


def connect(changes=None, *, root_path=""):
    return websocket_connect(scope(**(changes or {})), reply_channel=REPLY, root_path=root_path)


def receive(event, order=1):
    return websocket_receive(event, reply_channel=REPLY, path="/chat", order=order)


def disconnect(code, order=1):
    return websocket_disconnect(code, reply_channel=REPLY, path="/chat", order=order)


def send(**event):
    return {"type": "websocket.send", **event}


def accept(subprotocol=None):
    return {"type": "websocket.accept", "subprotocol": subprotocol}


def close(code=1000):
    return {"type": "websocket.close", "code": code}


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content=b"", more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


# http.request ---------------------------------------------------------------------------------


def test_a_request_has_these_keys():
    assert set(request()) == {
        *("reply_channel", "http_version", "method", "scheme", "path", "query_string"),
        *("root_path", "headers", "body", "client", "server"),
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("http_version", "2"),
        ("method", "POST"),
        ("scheme", "https"),
        ("path", "/a b/é"),
        ("query_string", b"a=1&b=%20"),
        ("root_path", "/app"),
        ("headers", [(b"host", b"example.org")]),
        ("client", ("10.0.0.1", 4711)),
        ("server", ("127.0.0.1", 8000)),
    ],
)
def test_a_request_takes_from_the_scope(key, value):
    assert request({key: value})[key] == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("http_version", "1.1"),
        ("scheme", "http"),
        ("query_string", b""),
        ("root_path", ""),
        ("client", None),
        ("server", None),
    ],
)
def test_what_the_scope_of_a_request_may_leave_out_has_a_default(key, value):
    assert request()[key] == value


def test_a_request_names_its_reply_channel():
    assert request()["reply_channel"] == REPLY


def test_a_request_carries_the_body_it_is_given():
    assert request(body=b"name=value")["body"] == b"name=value"


def test_a_request_without_a_body_has_an_empty_one():
    assert request()["body"] == b""


def test_a_request_names_the_channel_of_the_rest_of_its_body():
    assert request(body=b"a", body_channel="http.request.body?x")["body_channel"] == (
        "http.request.body?x"
    )


def test_a_whole_body_has_no_body_channel():
    assert "body_channel" not in request(body=b"all of it")


def test_repeated_headers_stay_apart_and_in_order():
    headers = [(b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2")]
    assert request({"headers": headers})["headers"] == headers


@pytest.mark.parametrize("message", [request, connect])
def test_a_header_name_with_an_underscore_is_dropped(message):
    headers = [(b"remote_user", b"admin"), (b"remote-user", b"joe")]
    assert message({"headers": headers})["headers"] == [(b"remote-user", b"joe")]


@pytest.mark.parametrize("message", [request, connect])
def test_a_root_path_of_the_servers_own_wins(message):
    assert message({"root_path": "/engine"}, root_path="/option")["root_path"] == "/option"


@pytest.mark.parametrize("message", [request, connect])
def test_a_unix_socket_is_no_server_address(message):
    assert message({"server": ("/run/site.sock", None)})["server"] is None


def test_an_http_disconnect_names_the_reply_channel_and_the_path():
    assert http_disconnect(scope(), reply_channel=REPLY) == {
        "reply_channel": REPLY,
        "path": "/page",
    }


# The messages of a WebSocket ------------------------------------------------------------------


def test_a_connect_has_these_keys():
    assert set(connect()) == {
        *("reply_channel", "scheme", "path", "query_string", "root_path", "headers"),
        *("client", "server", "order"),
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scheme", "wss"),
        ("path", "/chat"),
        ("query_string", b"room=1"),
        ("root_path", "/app"),
        ("headers", [(b"sec-websocket-protocol", b"chat")]),
        ("client", ("10.0.0.1", 4711)),
        ("server", ("127.0.0.1", 8000)),
    ],
)
def test_a_connect_takes_from_the_scope(key, value):
    assert connect({key: value})[key] == value


def test_the_scheme_of_a_socket_is_ws_unless_said():
    assert connect()["scheme"] == "ws"


def test_a_connect_is_the_first_message_of_its_socket():
    assert connect()["order"] == 0


@pytest.mark.parametrize(
    "frame", [{"text": "hi"}, {"text": ""}, {"bytes": b"\x00"}, {"bytes": b""}]
)
def test_a_frame_is_a_message_even_when_it_is_empty(frame):
    assert receive({"type": "websocket.receive", **frame}, order=3) == {
        "reply_channel": REPLY,
        "path": "/chat",
        "order": 3,
        **frame,
    }


@pytest.mark.parametrize(
    ("event", "unused"),
    [({"text": "hi", "bytes": None}, "bytes"), ({"text": None, "bytes": b"hi"}, "text")],
)
def test_a_frame_has_only_the_key_that_it_uses(event, unused):
    assert unused not in receive(event)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 4000, None])
def test_a_disconnect_has_the_code_of_the_close(code):
    assert disconnect(code)["code"] == code


def test_a_close_frame_without_a_code_is_none():
    assert disconnect(1005)["code"] is None


def test_a_disconnect_has_these_keys():
    assert disconnect(1000, order=7) == {
        "reply_channel": REPLY,
        "code": 1000,
        "path": "/chat",
        "order": 7,
    }


# The parts of a response ----------------------------------------------------------------------


def test_a_response_starts_and_ends():
    reply = {"status": 201, "headers": [(b"x-a", b"1")], "content": b"made"}
    headers = [(b"x-a", b"1"), (b"content-length", b"4")]
    assert http_events(reply, started=False) == [start(201, headers), body(b"made")]


def test_the_length_that_the_application_gives_is_kept():
    reply = {"status": 200, "headers": [(b"Content-Length", b"4")], "content": b"made"}
    assert http_events(reply, started=False)[0] == start(200, [(b"content-length", b"4")])


def test_a_response_that_goes_on_has_no_length():
    reply = {"status": 200, "content": b"a", "more_content": True}
    assert http_events(reply, started=False)[0] == start(200)


def test_a_response_needs_only_a_status():
    assert http_events({"status": 200}, started=False) == [start(200), body()]


def test_a_response_whose_content_and_headers_are_none_is_empty():
    reply = {"status": 200, "headers": None, "content": None}
    assert http_events(reply, started=False) == [start(200), body()]


def test_more_content_leaves_the_response_open():
    reply = {"status": 200, "content": b"a", "more_content": True}
    assert http_events(reply, started=False)[-1] == body(b"a", more=True)


@pytest.mark.parametrize("more", [True, False])
def test_a_chunk_is_only_body(more):
    chunk = {"content": b"more", "more_content": more}
    assert http_events(chunk, started=True) == [body(b"more", more)]


def test_a_chunk_without_more_content_is_the_last():
    assert http_events({"content": b"end"}, started=True) == [body(b"end")]


def test_a_status_text_is_tolerated():
    reply = {"status": 200, "status_text": b"OK"}
    assert http_events(reply, started=False) == [start(200), body()]


def test_header_names_become_lower_case_and_keep_their_order():
    headers = [(b"X-B", b"1"), (b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2")]
    [event, _] = http_events({"status": 200, "headers": headers}, started=False)
    assert event["headers"] == [(b"x-b", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


def test_headers_as_text_are_tolerated():
    [event, _] = http_events({"status": 200, "headers": [["X-Name", "é"]]}, started=False)
    assert event["headers"] == [(b"x-name", b"\xe9")]


def test_a_header_may_be_empty():
    [event, _] = http_events({"status": 200, "headers": [(b"x-a", b"")]}, started=False)
    assert event["headers"] == [(b"x-a", b"")]


def test_a_second_status_is_refused():
    with pytest.raises(BadReply, match="one status.*comes later and has one"):
        http_events({"status": 200}, started=True)


def test_a_first_part_without_a_status_is_refused():
    with pytest.raises(BadReply, match="one status.*is the first and has none"):
        http_events({"content": b"hello"}, started=False)


def test_an_unknown_key_of_a_response_is_refused_by_name():
    with pytest.raises(BadReply, match="no key 'text'"):
        http_events({"status": 200, "text": "hello"}, started=False)


@pytest.mark.parametrize("content", ["text", 5, ["a"]])
def test_content_that_is_not_bytes_is_refused(content):
    with pytest.raises(BadReply, match="content of a response is bytes"):
        http_events({"status": 200, "content": content}, started=False)


@pytest.mark.parametrize("status", [100, 199, 600, 1000, -1, "200", None, True, 200.0])
def test_what_is_not_a_final_status_is_refused(status):
    with pytest.raises(BadReply, match="not the status of a final response"):
        http_events({"status": status}, started=False)


@pytest.mark.parametrize(
    "header",
    [
        (b"location", b"/\r\nset-cookie: admin=1"),
        (b"location", b"/\nset-cookie: admin=1"),
        (b"location", b"/\rset-cookie: admin=1"),
        (b"location", b"/\x00"),
        (b"location", b"/\x0bset-cookie: admin=1"),
        (b"location", b"/\x1c"),
        (b"location", b"/\x7f"),
        (b"location", b"/\x85set-cookie: admin=1"),
        ("location", "/\r\nset-cookie: admin=1"),
    ],
)
def test_a_header_with_a_line_break_or_what_may_pass_for_one_is_refused(header):
    with pytest.raises(BadReply, match="the header b'location' has a control character in it"):
        http_events({"status": 200, "headers": [header]}, started=False)


@pytest.mark.parametrize(
    "lengths", [[b"5", b"5"], [b"5", b"6"], [b"-5"], [b"+5"], [b"5, 5"], [b"0x5"], [b""], [b"five"]]
)
def test_a_length_that_is_not_one_number_is_refused(lengths):
    headers = [(b"Content-Length", each) for each in lengths]
    with pytest.raises(BadReply, match="content-length of a response is one number"):
        http_events({"status": 200, "headers": headers, "content": b"hello"}, started=False)


@pytest.mark.parametrize("coding", [b"chunked", b"gzip", b"identity"])
def test_how_an_answer_is_framed_is_not_for_consumers_to_say(coding):
    headers = [(b"transfer-encoding", coding)]
    reply = {"status": 200, "headers": headers, "content": b"hello"}
    expected = start(200, [(b"content-length", b"5")])
    assert http_events(reply, started=False) == [expected, body(b"hello")]


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_gets_none(status):
    headers = [(b"content-length", b"5"), (b"etag", b"1")]
    reply = {"status": status, "headers": headers, "content": b"hello"}
    expected = start(status, [(b"etag", b"1")])
    assert http_events(reply, started=False) == [expected, body(b"")]


@pytest.mark.parametrize("name", [b"", b"x-a\r\nset-cookie", b"x-a\n", b"x a", b"x:a", "x-é"])
def test_what_is_not_the_name_of_a_header_is_refused(name):
    with pytest.raises(BadReply, match="not the name of a header"):
        http_events({"status": 200, "headers": [(name, b"1")]}, started=False)


@pytest.mark.parametrize("value", [b"", b"a\tb", "é", b"\xff", b'"a b"'])
def test_other_values_of_headers_pass(value):
    [event, _] = http_events({"status": 200, "headers": [(b"x-a", value)]}, started=False)
    assert event["headers"] == [(b"x-a", value if value != "é" else b"\xe9")]


@pytest.mark.parametrize(
    "header", [b"x-a: 1", "ab", (b"x-a",), (b"x-a", b"1", b"2"), ("x-a", 5), ("x-a", None), 5, None]
)
def test_what_is_not_a_pair_of_name_and_value_is_refused(header):
    with pytest.raises(BadReply, match="not a pair of header name and value"):
        http_events({"status": 200, "headers": [header]}, started=False)


def test_header_text_beyond_latin_1_is_refused():
    with pytest.raises(BadReply, match="not a pair of header name and value"):
        http_events({"status": 200, "headers": [("x-a", "€")]}, started=False)


@pytest.mark.parametrize("headers", [{"ab": "cd"}, 5, "ab", b"ab"])
def test_headers_that_are_no_list_are_refused(headers):
    with pytest.raises(BadReply, match="headers of a response are a list"):
        http_events({"status": 200, "headers": headers}, started=False)


# Replies to a WebSocket while its handshake is under way ----------------------------------------


@pytest.mark.parametrize(
    ("reply", "events"),
    [
        ({"accept": True}, [accept()]),
        ({"accept": True, "text": "hi"}, [accept(), send(text="hi")]),
        ({"accept": True, "bytes": b"hi"}, [accept(), send(bytes=b"hi")]),
        ({"accept": True, "close": True}, [accept(), close()]),
        ({"accept": True, "text": "bye", "close": 4000}, [accept(), send(text="bye"), close(4000)]),
        ({"text": "hi"}, [accept(), send(text="hi")]),
        ({"bytes": b"hi"}, [accept(), send(bytes=b"hi")]),
        ({"text": ""}, [accept(), send(text="")]),
        ({"bytes": b""}, [accept(), send(bytes=b"")]),
        ({"text": "bye", "close": True}, [accept(), send(text="bye"), close()]),
        ({"bytes": b"bye", "close": 3000}, [accept(), send(bytes=b"bye"), close(3000)]),
    ],
)
def test_accept_or_data_opens_the_socket(reply, events):
    assert websocket_events(reply, accepted=False) == events


@pytest.mark.parametrize(
    "reply",
    [
        {"accept": False},
        {"accept": False, "text": "ignored"},
        {"accept": False, "close": 4000},
        {"close": True},
        {"close": 4000},
        {"close": 99},
    ],
)
def test_no_accept_or_a_close_refuses_the_socket_whatever_the_code(reply):
    assert websocket_events(reply, accepted=False) == [close(1000)]


@pytest.mark.parametrize("reply", [{}, {"close": False}, {"text": None, "bytes": None}])
def test_a_reply_that_says_nothing_leaves_the_handshake_waiting(reply):
    assert websocket_events(reply, accepted=False) == []


def test_an_accepted_socket_gets_its_subprotocol():
    assert websocket_events({"accept": True}, accepted=False, subprotocol="chat") == [
        accept("chat")
    ]


# Replies to an open WebSocket -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "events"),
    [
        ({"text": "hi"}, [send(text="hi")]),
        ({"bytes": b"hi"}, [send(bytes=b"hi")]),
        ({"text": ""}, [send(text="")]),
        ({"bytes": b""}, [send(bytes=b"")]),
        ({"text": "hi", "bytes": None}, [send(text="hi")]),
        ({"text": None, "bytes": b"hi"}, [send(bytes=b"hi")]),
        ({"text": "hi", "bytes": b""}, [send(text="hi")]),
        ({"text": "", "bytes": b"hi"}, [send(bytes=b"hi")]),
        ({"text": "bye", "close": True}, [send(text="bye"), close()]),
        ({"close": True}, [close()]),
        ({"close": False}, []),
        ({"accept": True}, []),
        ({"accept": False}, []),
        ({"accept": True, "text": "hi"}, [send(text="hi")]),
        ({}, []),
    ],
)
def test_an_open_socket_sends_and_closes(reply, events):
    assert websocket_events(reply, accepted=True) == events


@pytest.mark.parametrize(
    "code", [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]
)
def test_an_application_may_close_with(code):
    assert websocket_events({"close": code}, accepted=True) == [close(code)]


@pytest.mark.parametrize("code", [1, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, -1, 1000.0])
def test_any_other_close_code_is_refused_naming_the_allowed_ones(code):
    with pytest.raises(BadReply, match="1000, 1001, 1003, 1007 to 1014, or 3000 to 4999"):
        websocket_events({"close": code}, accepted=True)


def test_a_close_code_that_is_no_number_is_refused():
    with pytest.raises(BadReply, match="a close code is an int"):
        websocket_events({"close": "bye"}, accepted=True)


@pytest.mark.parametrize("accepted", [True, False])
def test_text_and_bytes_together_are_refused(accepted):
    with pytest.raises(BadReply, match="text or bytes, not both"):
        websocket_events({"text": "a", "bytes": b"b"}, accepted=accepted)


@pytest.mark.parametrize("accepted", [True, False])
def test_an_unknown_key_is_refused_naming_the_known_ones(accepted):
    with pytest.raises(BadReply, match="no key 'txt': use text, bytes, close and accept"):
        websocket_events({"txt": "a"}, accepted=accepted)


@pytest.mark.parametrize("text", [b"bytes", 5, 0, {"a": 1}])
def test_text_that_is_no_str_is_refused(text):
    with pytest.raises(BadReply, match="text must be a str"):
        websocket_events({"text": text}, accepted=True)


@pytest.mark.parametrize("data", ["text", 5, 0, [1]])
def test_bytes_that_are_no_bytes_are_refused(data):
    with pytest.raises(BadReply, match="bytes must be bytes"):
        websocket_events({"bytes": data}, accepted=True)


# Subprotocols -----------------------------------------------------------------------------------


def test_the_clients_first_offer_that_is_known_is_chosen():
    assert choose_subprotocol(["new", "chat", "old"], ["old", "chat"]) == "chat"


@pytest.mark.parametrize(("offered", "known"), [([], ["chat"]), (["chat"], []), (["a"], ["b"])])
def test_without_a_known_offer_there_is_no_subprotocol(offered, known):
    assert choose_subprotocol(offered, known) is None


# The server's own pages -------------------------------------------------------------------------


def page_of(events):
    [head, content] = events
    return head["status"], dict(head["headers"]), content


def test_an_error_page_says_what_is_wrong():
    status, headers, content = page_of(error_events(503, "Service unavailable", "No worker."))
    assert status == 503
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert b"<title>503 Service unavailable</title>" in content["body"]
    assert b"<p>No worker.</p>" in content["body"]


def test_an_error_page_has_its_length_and_ends():
    _, headers, content = page_of(error_events(500, "Fehler", "süß"))
    assert int(headers[b"content-length"]) == len(content["body"])
    assert content["more_body"] is False


def test_an_error_page_may_say_when_to_come_again():
    _, headers, _ = page_of(error_events(503, "Busy", "", retry_after=5))
    assert headers[b"retry-after"] == b"5"


def test_an_error_page_is_silent_about_coming_again_unless_told():
    _, headers, _ = page_of(error_events(413, "Too large", ""))
    assert b"retry-after" not in headers


def test_an_error_page_escapes_its_texts():
    _, _, content = page_of(error_events(500, "<b>", "<script>"))
    assert b"<script>" not in content["body"]
    assert b"&lt;script&gt;" in content["body"]
