"""The access log."""

from __future__ import annotations

import io
import re

import pytest

from channels_classic.server.access import AccessLog

HTTP = {
    "path": "/page?a=1",
    "status": 200,
    "method": "GET",
    "client": "10.0.0.1:4711",
    "time_taken": 0.01,
    "size": 512,
}
SOCKET = {"path": "/chat", "client": "10.0.0.1:4711"}


def line(protocol, action, details):
    """The line that is logged, with its time made sure of and taken out."""
    stream = io.StringIO()
    AccessLog(stream)(protocol, action, details)
    text, count = re.subn(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\]", "[when]", stream.getvalue())
    assert (count, text[-1], text.count("\n")) == (1, "\n", 1)
    return text[:-1]


def test_a_request_is_a_line():
    assert line("http", "complete", HTTP) == '10.0.0.1:4711 - - [when] "GET /page?a=1" 200 512'


@pytest.mark.parametrize(("key", "value"), [("size", 0), ("status", 0)])
def test_what_there_is_none_of_is_a_hyphen(key, value):
    expected = {"size": '"GET /page?a=1" 200 -', "status": '"GET /page?a=1" - 512'}
    assert line("http", "complete", {**HTTP, key: value}).endswith(expected[key])


def test_a_peer_without_an_address_is_a_hyphen():
    assert line("http", "complete", {**HTTP, "client": None}).startswith("- - - [when]")


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("connecting", "WSCONNECTING"),
        ("connected", "WSCONNECT"),
        ("rejected", "WSREJECT"),
        ("disconnected", "WSDISCONNECT"),
    ],
)
def test_a_step_of_a_socket_is_a_line(action, verb):
    assert line("websocket", action, SOCKET) == f'10.0.0.1:4711 - - [when] "{verb} /chat" - -'


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ('/"quoted"', r"/\x22quoted\x22"),
        ("/\\", r"/\x5c"),
        ("/\n10.0.0.2 - - ", r"/\x0a10.0.0.2 - - "),
        ("/\x1b[31m", r"/\x1b[31m"),
        ("/é", "/é"),
    ],
)
def test_no_client_writes_lines_quotes_or_terminal_codes(path, logged):
    assert f'"WSCONNECT {logged}"' in line("websocket", "connected", {**SOCKET, "path": path})


def test_each_line_is_written_at_once(tmp_path):
    with (tmp_path / "access.log").open("a") as stream:
        AccessLog(stream)("http", "complete", HTTP)
        assert (tmp_path / "access.log").read_text().count("\n") == 1
