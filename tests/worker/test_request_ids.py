"""What is logged while a message is worked on has the id of the request that it is about."""

from __future__ import annotations

import asyncio
import io
import logging
import logging.config

import pytest
from django.http import HttpResponse
from django.urls import path

from channels_classic.dispatch import dispatch
from channels_classic.handler import ViewConsumer
from channels_classic.log import request_id
from channels_classic.message import Message
from channels_classic.routing import Router, route
from tests.worker.site import REPORT, WORK, report, until

logger = logging.getLogger("tests.request_ids")


@pytest.fixture
def lines():
    """``lines()``: what the root logger gets, as ``id name text``, set up as a project does."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request_id": {"()": "channels_classic.log.RequestIdFilter"}},
            "formatters": {"ids": {"format": "%(request_id)s %(name)s %(message)s"}},
            "handlers": {
                "stream": {
                    "class": "logging.StreamHandler",
                    "stream": stream,
                    "filters": ["request_id"],
                    "formatter": "ids",
                }
            },
            "root": {"handlers": ["stream"], "level": "INFO"},
        }
    )
    yield lambda name: [each for each in stream.getvalue().splitlines() if f" {name} " in each]
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def says(message):
    logger.info("at work on %s", message["number"])
    report(message, id=request_id())


async def says_async(message):
    await asyncio.sleep(0.001)
    says(message)


@pytest.mark.parametrize("consumer", [says, says_async])
def test_a_consumer_shares_the_id_of_its_message(site, consumer, lines):
    with site(consumer).working() as found:
        for number in (1, 2):
            found.send(number=number, request_id=f"id-{number}")
            assert found.received() == {"id": f"id-{number}"}
    assert lines("tests.request_ids") == [
        "id-1 tests.request_ids at work on 1",
        "id-2 tests.request_ids at work on 2",
    ]


@pytest.mark.parametrize("value", ["a\nb", 7, b"bytes", None, ""])
def test_a_message_with_something_else_there_has_none(memory_site, value, lines):
    with memory_site(says).working() as found:
        found.send(number=1, request_id="id-1")
        found.received()
        found.send(number=2, request_id=value)
        assert found.received() == {"id": ""}
    assert lines("tests.request_ids")[1] == "- tests.request_ids at work on 2"


def test_what_the_worker_says_of_a_message_has_it_and_nothing_else_has(memory_site, lines):
    def fails(message):
        raise KeyError

    with memory_site(fails).working() as found:
        found.send(request_id="id-1")
        until(lambda: lines("channels_classic.dispatch"))
    [line] = lines("channels_classic.dispatch")
    assert line.startswith("id-1 channels_classic.dispatch Error in the consumer ")
    assert request_id() == ""


def test_a_message_without_a_route_is_said_with_it(memory_site, lines):
    consumers = [route(WORK, says, kind="other")]
    site = memory_site(says)
    site.wrapper.router = Router(consumers)
    with site.working():
        site.send(request_id="id-1", kind="none")
        until(lambda: lines("channels_classic.dispatch"))
    assert lines("channels_classic.dispatch")[0].startswith("id-1 channels_classic.dispatch No rou")


def missing(request):
    return HttpResponse(request_id(), status=404)


urlpatterns = [path("missing", missing)]


@pytest.mark.django_db
def test_djangos_own_lines_about_a_view_have_it(memory_site, settings, lines):
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["example.com"]
    site = memory_site(says)
    message = {
        "reply_channel": f"{REPORT}!1",
        "method": "GET",
        "path": "/missing",
        "headers": [(b"host", b"example.com")],
        "request_id": "id-1",
    }
    views = Router([route("http.request", ViewConsumer())])
    result = dispatch(Message(message, "http.request", site.wrapper), views)
    assert result.error is None
    assert request_id() == ""
    assert lines("django.request") == ["id-1 django.request Not Found: /missing"]
