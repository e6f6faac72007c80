"""AsgiHandler: responses, short, long and streamed, as replies."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import connections
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from channels_classic.handler import AsgiHandler
from tests.handler.site import body_of

# Encoding -------------------------------------------------------------------------------------


def encode(response: Any, chunk_size: int = 4) -> list[dict[str, Any]]:
    small = type("SmallHandler", (AsgiHandler,), {"chunk_size": chunk_size})
    return list(small.encode_response(response))


def test_a_short_response_is_one_reply():
    reply = {"status": 201, "headers": [(b"X-One", b"1")], "content": b"hey", "more_content": False}
    response = HttpResponse(b"hey", status=201, headers={"X-One": "1"})
    del response["Content-Type"]
    assert encode(response) == [reply]


def test_headers_keep_the_case_that_django_gave_them():
    names = [name for name, _ in encode(JsonResponse({}))[0]["headers"]]
    assert names == [b"Content-Type"]


def test_header_values_are_latin_1():
    response = HttpResponse(headers={"X-One": "caf\xe9"})
    assert (b"X-One", b"caf\xe9") in encode(response)[0]["headers"]


def test_each_cookie_has_a_header_of_its_own():
    response = HttpResponse()
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    assert encode(response)[0]["headers"][-2:] == [
        (b"Set-Cookie", b"a=1; Path=/"),
        (b"Set-Cookie", b"b=2; HttpOnly; Path=/"),
    ]


def test_a_cookie_that_is_not_ascii_does_not_lose_the_response():
    response = HttpResponse()
    response.set_cookie("a", "1", path="/\u20ac")
    assert encode(response)[0]["headers"][-1] == (b"Set-Cookie", "a=1; Path=/\u20ac".encode())


def test_an_empty_response_is_one_reply():
    replies = encode(HttpResponse())
    assert len(replies) == 1
    assert (replies[0]["content"], replies[0]["more_content"]) == (b"", False)


def test_a_long_response_is_split():
    replies = encode(HttpResponse(b"abcdefghi"))
    assert [(reply["content"], reply["more_content"]) for reply in replies] == [
        (b"abcd", True),
        (b"efgh", True),
        (b"i", False),
    ]


def test_only_the_first_reply_has_a_status_and_headers():
    replies = encode(HttpResponse(b"abcdefghi"))
    assert ["status" in reply for reply in replies] == [True, False, False]
    assert ["headers" in reply for reply in replies] == [True, False, False]


def test_a_response_of_exactly_two_chunks_is_two_replies():
    contents = [reply["content"] for reply in encode(HttpResponse(b"abcdefgh"))]
    assert contents == [b"abcd", b"efgh"]


@pytest.mark.parametrize(
    ("data", "chunks"),
    [
        (b"", [(b"", True)]),
        (b"abcd", [(b"abcd", True)]),
        (b"abcdef", [(b"abcd", False), (b"ef", True)]),
        (b"abcdefgh", [(b"abcd", False), (b"efgh", True)]),
    ],
)
def test_bytes_come_in_chunks_of_at_most_the_chunk_size(data, chunks):
    class Small(AsgiHandler):
        chunk_size = 4

    assert list(Small.chunk_bytes(data)) == chunks


def test_a_stream_ends_with_a_closing_reply():
    first, second, last = encode(StreamingHttpResponse([b"one", b"two"]))
    assert (first["status"], first["content"], first["more_content"]) == (200, b"one", True)
    assert second == {"content": b"two", "more_content": True}
    assert last == {"more_content": False}


def test_a_long_part_of_a_stream_is_split():
    replies = encode(StreamingHttpResponse([b"abcdef"]))
    assert [reply.get("content") for reply in replies] == [b"abcd", b"ef", None]


def test_an_empty_stream_is_one_reply():
    (reply,) = encode(StreamingHttpResponse([]))
    assert (reply["status"], reply["more_content"]) == (200, False)


def test_an_empty_part_sends_the_headers_early():
    first = encode(StreamingHttpResponse([b"", b"late"]))[0]
    assert (first["status"], first["content"], first["more_content"]) == (200, b"", True)


def test_a_stream_is_encoded_while_it_runs():
    steps: list[str] = []

    def parts():
        steps.append("one made")
        yield b"one"
        steps.append("two made")
        yield b"two"

    for reply in AsgiHandler.encode_response(StreamingHttpResponse(parts())):
        content = reply.get("content", b"nothing")
        steps.append(f"{content.decode()} out")
    assert steps == ["one made", "one out", "two made", "two out", "nothing out"]


# Asynchronous streams -------------------------------------------------------------------------


def test_an_asynchronous_stream_is_sent_part_by_part():
    async def parts():
        yield b"one"
        await asyncio.sleep(0)
        yield "two"

    replies = encode(StreamingHttpResponse(parts()))
    assert [reply.get("content") for reply in replies] == [b"one", b"two", None]


def test_an_asynchronous_stream_is_not_collected_first():
    made: list[int] = []

    async def parts():
        for number in range(1000):
            made.append(number)
            yield b"x"

    replies = AsgiHandler.encode_response(StreamingHttpResponse(parts()))
    next(replies)
    next(replies)
    replies.close()
    assert made == [0, 1]


def test_all_parts_of_an_asynchronous_stream_share_one_event_loop():
    async def parts():
        inbox: asyncio.Queue[bytes] = asyncio.Queue()

        async def produce():
            for letter in b"abc":
                await asyncio.sleep(0.001)
                await inbox.put(bytes([letter]))

        task = asyncio.create_task(produce())
        for _ in range(3):
            yield await inbox.get()
        await task

    assert body_of(encode(StreamingHttpResponse(parts()))) == b"abc"


def test_an_abandoned_asynchronous_stream_is_ended():
    ended: list[str] = []

    async def parts():
        try:
            yield b"one"
            yield b"two"
        finally:
            await asyncio.sleep(0)
            ended.append("stream")

    replies = AsgiHandler.encode_response(StreamingHttpResponse(parts()))
    next(replies)
    replies.close()
    assert ended == ["stream"]


def test_an_error_in_an_asynchronous_stream_comes_out():
    async def parts():
        yield b"one"
        raise RuntimeError("broken stream")

    replies = AsgiHandler.encode_response(StreamingHttpResponse(parts()))
    next(replies)
    with pytest.raises(RuntimeError, match="broken stream"):
        next(replies)


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_stream_may_use_the_database(monkeypatch):
    """Its connection is closed at the end, which Django refuses for databases in memory."""
    monkeypatch.setattr(type(connections["default"]), "is_in_memory_db", lambda self: False)
    get_user_model().objects.create(username="ann")
    opened: list[Any] = []

    async def parts():
        async for user in get_user_model().objects.all():
            opened.append(await sync_to_async(lambda: connections["default"])())
            yield user.username

    assert body_of(encode(StreamingHttpResponse(parts()))) == b"ann"
    assert opened[0] is not connections["default"]
    assert opened[0].connection is None


def test_synchronous_code_in_an_asynchronous_stream_has_one_thread_of_its_own():
    async def parts():
        for _ in range(2):
            yield str(await sync_to_async(threading.get_ident)())
            yield b"|"

    first, second, _ = body_of(encode(StreamingHttpResponse(parts()), 100)).split(b"|")
    assert first == second != str(threading.get_ident()).encode()
    assert int(first) not in {thread.ident for thread in threading.enumerate()}
