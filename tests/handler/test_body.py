"""AsgiRequest: the body, whole or in chunks, and what Django makes of it."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import InMemoryUploadedFile, TemporaryUploadedFile
from django.http import HttpResponse
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from channels_classic import handler
from channels_classic.exceptions import RequestAborted, RequestTimeout
from channels_classic.handler import AsgiRequest
from tests.handler.site import BODY, Clock, chunked, message, request

FORM = [(b"content-type", b"application/x-www-form-urlencoded")]
MULTIPART = [(b"content-type", MULTIPART_CONTENT.encode())]


def multipart(**fields: Any) -> dict[str, Any]:
    data = encode_multipart(BOUNDARY, fields)
    length = (b"content-length", str(len(data)).encode())
    return {"method": "POST", "headers": [*MULTIPART, length], "body": data}


def test_the_body_is_that_of_the_message():
    assert request(method="POST", body=b"data").body == b"data"


def test_a_message_without_a_body_has_an_empty_one():
    source = message(method="POST")
    del source.content["body"]
    assert AsgiRequest(source).body == b""


def test_the_body_can_be_read_as_a_stream():
    made = request(method="POST", body=b"one\ntwo\n")
    assert made.readline() == b"one\n"
    assert made.read() == b"two\n"


def test_a_form_is_parsed():
    assert request(method="POST", headers=FORM, body=b"a=1&b=2").POST.dict() == {"a": "1", "b": "2"}


def test_an_upload_brings_its_file_and_its_fields():
    file = io.BytesIO(b"pixels")
    file.name = "photo.jpg"
    made = request(**multipart(title="Alps", photo=file))
    assert made.POST["title"] == "Alps"
    assert made.FILES["photo"].name == "photo.jpg"
    assert made.FILES["photo"].read() == b"pixels"
    assert isinstance(made.FILES["photo"], InMemoryUploadedFile)


def test_a_large_upload_in_chunks_goes_to_a_temporary_file(layer, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    file = io.BytesIO(b"pixels" * 1000)
    file.name = "photo.jpg"
    content = multipart(photo=file)
    data = content["body"]
    source = chunked(layer, {"content": data[100:]}, **{**content, "body": data[:100]})
    made = AsgiRequest(source)
    upload = made.FILES["photo"]
    assert isinstance(upload, TemporaryUploadedFile)
    assert upload.read() == b"pixels" * 1000
    made.close()


def test_the_chunks_follow_the_body_in_their_order(layer):
    source = chunked(
        layer,
        {"content": b"two ", "more_content": True},
        {"content": b"three", "more_content": False},
        body=b"one ",
    )
    assert AsgiRequest(source).body == b"one two three"


def test_a_chunk_without_content_is_tolerated(layer):
    """Weakness 18: it was a TypeError."""
    source = chunked(layer, {"more_content": True}, {"content": b"end"})
    assert AsgiRequest(source).body == b"end"


def test_a_chunk_that_says_no_more_is_the_last(layer):
    source = chunked(layer, {"content": b"one"}, {"content": b"two"})
    assert AsgiRequest(source).body == b"one"


def test_a_chunk_that_arrives_later_is_waited_for(layer):
    source = chunked(layer, {"content": b"one ", "more_content": True})
    timer = threading.Timer(0.05, layer.send, [BODY, {"content": b"two"}])
    timer.start()
    assert AsgiRequest(source).body == b"one two"
    timer.join()


def test_a_closed_chunk_aborts_the_request(layer):
    source = chunked(layer, {"content": b"one", "more_content": True}, {"closed": True})
    with pytest.raises(RequestAborted):
        AsgiRequest(source)


def test_a_body_that_takes_too_long_in_total_times_out(monkeypatch):
    """A chunk every 25 seconds: each is in time, the whole is not."""
    clock = Clock(monkeypatch)

    def receive(channels, block):
        assert (channels, block) == ([BODY], True)
        clock.now += 25
        return BODY, {"content": b"x", "more_content": True}

    source = message(method="POST", body_channel=BODY)
    source.channel_layer = SimpleNamespace(receive=receive)
    with pytest.raises(RequestTimeout):
        AsgiRequest(source)
    assert clock.now == 75


def test_a_long_body_may_take_longer(monkeypatch):
    """A megabyte every second, which is all that a slow machine can do."""
    clock = Clock(monkeypatch)

    def receive(channels, block):
        clock.now += 1
        return BODY, {"content": b"x" * handler.SLOWEST, "more_content": clock.now < 80}

    source = message(method="POST", body_channel=BODY)
    source.channel_layer = SimpleNamespace(receive=receive)
    made = AsgiRequest(source)
    assert len(made.read()) == 80 * handler.SLOWEST
    made.close()


def test_a_receive_that_does_not_block_is_no_busy_loop(monkeypatch):
    clock = Clock(monkeypatch)
    source = message(method="POST", body_channel=BODY)
    source.channel_layer = SimpleNamespace(receive=lambda *args, **kwargs: (None, None))
    with pytest.raises(RequestTimeout):
        AsgiRequest(source)
    assert set(clock.pauses) == {handler.RECEIVE_PAUSE}


def test_a_long_body_is_kept_on_disk(layer, settings):
    """Weakness 18: the whole of it was in memory."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    made = AsgiRequest(chunked(layer, {"content": b"x" * 20}))
    assert made._stream._rolled
    made.close()


def test_a_short_body_is_kept_in_memory(layer):
    made = AsgiRequest(chunked(layer, {"content": b"x" * 20}))
    assert not made._stream._rolled
    made.close()


def test_the_file_of_an_aborted_body_is_closed(layer, monkeypatch):
    spools: list[Any] = []

    def spool(size: int) -> Any:
        spools.append(io.BytesIO())
        return spools[0]

    monkeypatch.setattr(handler, "SpooledTemporaryFile", spool)
    with pytest.raises(RequestAborted):
        AsgiRequest(chunked(layer, {"closed": True}))
    assert spools[0].closed


def test_a_body_channel_needs_a_channel_layer():
    source = message(method="POST", body_channel=BODY)
    source.channel_layer = None
    with pytest.raises(ValueError, match="needs its channel layer"):
        AsgiRequest(source)


def test_closing_a_request_closes_its_body():
    made = request(body=b"data")
    made.close()
    assert made._stream.closed


def test_a_body_over_the_memory_limit_is_refused(settings):
    """Weakness 18: the limit was not looked at."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    with pytest.raises(RequestDataTooBig):
        assert request(method="POST", body=b"x" * 11).body


def test_a_body_in_chunks_over_the_memory_limit_is_refused(layer, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    made = AsgiRequest(chunked(layer, {"content": b"x" * 11}))
    with pytest.raises(RequestDataTooBig):
        assert made.body
    made.close()


def test_the_view_gets_400_for_a_body_over_the_memory_limit(serve, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    replies = serve(lambda request: HttpResponse(request.body), method="POST", body=b"x" * 11)
    assert replies[0]["status"] == 400
