"""HTTP under any ASGI server: what the workers are told, and what the client gets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket

import pytest


class Answer:
    """A complete answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.body = response.read()
        self.headers = response.headers


def ask(host, path, *, connection=None, method="GET", body=None, headers=None) -> Answer:
    """One request, on a connection of its own unless there is one."""
    with contextlib.ExitStack() as stack:
        if connection is None:
            connection = stack.enter_context(connected(host))
        connection.request(method, path, body=body, headers=headers or {})
        return Answer(connection.getresponse())


def connected(host, timeout=30) -> contextlib.closing[http.client.HTTPConnection]:
    """A connection that is not opened yet."""
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", host.port, timeout=timeout))


def seen(host, path="/seen", **request) -> dict:
    """What the view has seen of a request."""
    return json.loads(ask(host, path, **request).body)


# Requests -----------------------------------------------------------------------------------------


def test_a_view_says_hello(host):
    answer = ask(host, "/hello")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == "5"


def test_the_view_knows_who_asks_and_how(host):
    told = seen(host)
    assert (told["scheme"], told["client"], told["method"]) == ("http", "127.0.0.1", "GET")


def test_a_posted_body_arrives(host):
    told = seen(host, method="POST", body=b"name=value")
    assert (told["method"], told["body"]) == ("POST", "name=value")


def test_a_body_of_a_mebibyte_arrives(host):
    assert seen(host, method="POST", body=bytes(1024**2))["length"] == 1024**2


def test_a_body_in_chunks_arrives(host):
    chunks = (b"x" * 1000 for _ in range(200))
    assert seen(host, method="POST", body=chunks)["length"] == 200_000


def test_the_query_string_is_as_it_was(host):
    assert seen(host, "/seen?a=1&b=%20x+y&a=caf%C3%A9")["query"] == "a=1&b=%20x+y&a=caf%C3%A9"


@pytest.mark.parametrize(
    ("path", "decoded"),
    [
        ("/seen/a%20b", "/seen/a b"),
        ("/seen/caf%C3%A9", "/seen/café"),
        ("/seen/%E2%9C%93", "/seen/✓"),
        ("/seen/a%2Fb", "/seen/a/b"),
        ("/seen/100%25", "/seen/100%"),
    ],
    ids=["a space", "an accent", "a sign", "a slash", "a percent sign"],
)
def test_a_path_is_decoded(host, path, decoded):
    assert seen(host, path)["path"] == decoded


def test_a_mounted_site_knows_where_it_is(host):
    told = seen(host, "/mounted/seen")
    assert (told["script_name"], told["path"]) == ("/mounted", "/mounted/seen")


def test_cookies_arrive(host):
    told = seen(host, headers={"Cookie": 'a=1; b="x y"'})
    assert told["cookies"] == {"a": "1", "b": "x y"}


def test_a_header_may_come_twice(host):
    with connected(host) as connection:
        connection.putrequest("GET", "/seen")
        connection.putheader("X-Many", "one")
        connection.putheader("X-Many", "two")
        connection.endheaders()
        assert json.loads(connection.getresponse().read())["many"] == "one,two"


# Answers ------------------------------------------------------------------------------------------


def test_a_header_of_an_answer_may_come_twice(host):
    cookies = ask(host, "/seen").headers.get_all("Set-Cookie")
    assert [each.partition(";")[0] for each in cookies] == ["first=1", "second=2"]


def test_a_streamed_answer_comes_part_by_part(host):
    with connected(host) as connection:
        connection.request("GET", "/stream")
        response = connection.getresponse()
        assert response.read(3) == b"one"
        assert ask(host, "/go-on").status == 200
        assert response.read() == b"two"


def test_a_long_answer_is_complete(host):
    assert len(ask(host, "/big").body) == 3_200_000


def test_the_answer_to_head_has_no_body(host):
    with connected(host) as connection:
        answer = ask(host, "/hello", method="HEAD", connection=connection)
        assert (answer.status, answer.body) == (200, b"")
        assert ask(host, "/hello", connection=connection).body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_none(host, status):
    with connected(host) as connection:
        answer = ask(host, f"/status/{status}", connection=connection)
        assert (answer.status, answer.body) == (status, b"")
        assert ask(host, "/hello", connection=connection).body == b"hello"


@pytest.mark.parametrize(("path", "status"), [("/missing", 404), ("/broken", 500)])
def test_what_a_view_raises_is_answered(host, path, status):
    assert ask(host, path).status == status


# The server's own answers -------------------------------------------------------------------------


def test_without_a_worker_it_is_503(host):
    answer = ask(host, "/alone/hello")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_without_an_answer_it_is_504(host):
    answer = ask(host, "/hasty/never")
    assert (answer.status, answer.headers["Retry-After"]) == (504, "5")


def test_an_answer_that_is_cut_short_does_not_look_complete(host):
    with connected(host, timeout=5) as connection:
        connection.request("GET", "/hasty/cut")
        response = connection.getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()


def test_the_consumers_hear_that_the_client_has_gone(host):
    with socket.create_connection(("127.0.0.1", host.port), timeout=30) as client:
        client.sendall(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
        host.process.wait_for_line("^asked /never$", 30)
    host.process.wait_for_line("^left /never$", 30)
