"""The example's counter, on the memory layer and without any process."""

from __future__ import annotations

import json
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from channels_classic import channel_layers
from channels_classic.message import Message

ME = "test.reply.server!me"


@pytest.fixture
def counter(site) -> Any:
    return import_module("counter.models").Counter


@pytest.fixture
def consumers(site) -> ModuleType:
    return import_module("counter.consumers")


def connect(consumers: ModuleType) -> None:
    consumers.connect(Message({"reply_channel": ME}, None, channel_layers["default"]))


def told(layer: Any) -> list[dict[str, Any]]:
    """What the socket has been sent, in order."""
    received = iter(lambda: layer.receive(["test.reply.server!"])[1], None)
    return [json.loads(content["text"]) if "text" in content else content for content in received]


def raised_to(counter: Any, value: int) -> None:
    for _ in range(value):
        counter.increment()


# Pages and JSON -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/counter/", "/increment/"])
def test_a_page_shows_the_stored_value_at_first(client, counter, path):
    assert '<span id="value">0</span>' in client.get(path).content.decode()
    raised_to(counter, 12)
    html = client.get(path).content.decode()
    assert '<span id="value">12</span>' in html
    assert [html.count(f'data-digit="{digit}"') for digit in "012"] == [2, 1, 1]


def test_the_form_adds_one_and_leads_back_to_its_page(client, counter):
    answer = client.post("/increment/", follow=True)
    assert answer.redirect_chain == [("/increment/", 302)]
    assert '<span id="value">1</span>' in answer.content.decode()


def test_another_sites_form_adds_nothing(counter):
    assert Client(enforce_csrf_checks=True).post("/increment/").status_code == 403
    assert counter.current() == 0


def test_the_api_reads_and_adds_without_cookies(counter):
    client = Client(enforce_csrf_checks=True)
    assert client.get("/api/counter/").json() == {"value": 0}
    assert client.post("/api/counter/increment/").json() == {"value": 1}
    assert client.get("/api/counter/").json() == {"value": 1}
    assert counter.current() == 1


def test_reading_an_address_never_adds(client, counter):
    assert client.get("/api/counter/increment/").status_code == 405
    assert client.get("/increment/").status_code == 200
    assert client.post("/api/counter/").status_code == 405
    assert counter.current() == 0


@pytest.mark.parametrize("path", ["/counter/", "/increment/", "/api/counter/"])
def test_no_cache_keeps_an_old_value(client, counter, path):
    assert "no-store" in client.get(path)["Cache-Control"]


# Sockets ------------------------------------------------------------------------------------


def test_a_socket_is_told_the_stored_value_first_and_then_each_new_one(site, counter, consumers):
    raised_to(counter, 3)
    connect(consumers)
    raised_to(counter, 2)
    assert told(site) == [
        {"accept": True},
        {"value": 3, "stored": True},
        {"value": 4},
        {"value": 5},
    ]


def test_what_is_counted_while_a_socket_connects_is_not_missed(
    site, counter, consumers, monkeypatch
):
    current = counter.current

    def slow_current() -> int:
        value = current()
        counter.increment()  # somebody else's, right after the value was read
        return value

    monkeypatch.setattr(counter, "current", slow_current)
    connect(consumers)
    assert max(message.get("value", 0) for message in told(site)) == current() == 1


def test_pages_are_told_after_the_commit_and_not_before(site, counter, consumers):
    connect(consumers)
    told(site)
    with transaction.atomic():
        counter.increment()
        assert told(site) == []
    assert told(site) == [{"value": 1}]


def test_what_is_rolled_back_is_told_to_nobody(site, counter, consumers):
    connect(consumers)
    told(site)
    with transaction.atomic():
        counter.increment()
        transaction.set_rollback(True)
    assert told(site) == []
    assert counter.current() == 0
