"""Due: what is sent when, and what becomes of what cannot be sent."""

from __future__ import annotations

import logging
import threading

import pytest
from django.db import connection

from channels_classic.delay.due import BATCH, Due
from channels_classic.delay.models import DelayedMessage
from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.memory import InMemoryChannelLayer

TABLE = DelayedMessage._meta.db_table


@pytest.fixture
def layer():
    return InMemoryChannelLayer(capacity=1000)


@pytest.fixture
def due(layer):
    return Due(layer, pause=7, stopping=threading.Event())


@pytest.fixture
def unavailable(layer, monkeypatch):
    """``unavailable(error)`` makes each send fail with it; None ends that."""
    send = layer.send
    errors = [None]

    def fail(channel, content):
        if errors[0] is not None:
            raise errors[0]
        send(channel, content)

    monkeypatch.setattr(layer, "send", fail)
    return lambda error: errors.__setitem__(0, error)


def make(number, *, delay=-1000, channel="report"):
    return DelayedMessage.objects.create(
        channel_name=channel, content={"number": number}, delay=delay
    )


def received(layer):
    """The numbers that were sent, in order."""
    numbers = []
    while (content := layer.receive(["report"])[1]) is not None:
        numbers.append(content["number"])
    return numbers


@pytest.mark.django_db
def test_what_is_due_is_sent_in_the_order_of_its_time(due, layer):
    make(2, delay=-2000), make(3, delay=60_000), make(0, delay=-4000), make(1, delay=-3000)
    assert due.turn() == 7
    assert received(layer) == [0, 1, 2]
    assert DelayedMessage.objects.get().content == {"number": 3}


@pytest.mark.django_db
def test_more_than_one_batch_is_sent_at_once(due, layer):
    count = 2 * BATCH + 1
    for number in range(count):
        make(number, delay=number - 10_000)
    due.turn()
    assert received(layer) == list(range(count))


@pytest.mark.django_db
@pytest.mark.parametrize("bad", [{"channel_name": "no name"}, {"packed": b"\xc1"}])
def test_one_that_cannot_be_sent_is_dropped_counted_and_logged(due, layer, caplog, bad):
    DelayedMessage.objects.filter(pk=make(1, delay=-5000).pk).update(**bad)
    make(2)
    due.turn()
    assert received(layer) == [2]
    assert not DelayedMessage.objects.exists()
    assert layer.channel_statistics("asgi.delay")["failed_count"] == 1
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "is dropped" in record.getMessage()


@pytest.mark.django_db
def test_a_full_channel_is_tried_again_later_and_holds_up_nobody(due, layer, monkeypatch):
    monkeypatch.setattr(layer, "get_capacity", lambda channel: 1 if channel == "full" else 10)
    layer.send("full", {})
    make(1, channel="full"), make(2)
    due.turn()
    assert received(layer) == [2]
    assert DelayedMessage.objects.get().channel_name == "full"
    assert not DelayedMessage.objects.is_due().exists()


@pytest.mark.django_db
def test_outages_of_the_bus_are_waited_for(due, layer, unavailable, caplog):
    make(1, delay=-2000), make(2)
    unavailable(LayerUnavailable("away"))
    first, second = due.turn(), due.turn()
    assert 0 < first < second < 1
    assert DelayedMessage.objects.is_due().count() == 2
    unavailable(None)
    assert due.turn() == 7
    assert received(layer) == [1, 2]
    assert len(caplog.records) == 1  # and one of level INFO


@pytest.mark.django_db
def test_what_may_have_been_sent_is_not_sent_again(due, layer, unavailable):
    make(1, delay=-2000), make(2)
    unavailable(LayerUnavailable("away", in_doubt=True))
    due.turn()
    unavailable(None)
    due.turn()
    assert received(layer) == [2]
    assert layer.channel_statistics("asgi.delay")["in_doubt_count"] == 1


@pytest.mark.django_db(transaction=True)
def test_outages_of_the_database_are_waited_for(due, layer, caplog):
    caplog.set_level(logging.INFO, "channels_classic.delay")
    make(1)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} RENAME TO elsewhere")
        try:
            first, second = due.turn(), due.turn()
        finally:
            cursor.execute(f"ALTER TABLE elsewhere RENAME TO {TABLE}")
    assert 0 < first < second < 1
    assert due.turn() == 7
    assert received(layer) == [1]
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0].startswith("Delayed messages are not sent: no such table")
    assert messages[1:] == ["The database answers again."]


@pytest.mark.django_db(transaction=True)
def test_what_was_sent_is_not_sent_again_if_the_database_goes_away_then(due, layer, monkeypatch):
    make(1)

    def send_and_lose_the_table(channel, content):
        InMemoryChannelLayer.send(layer, channel, content)
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {TABLE} RENAME TO elsewhere")

    monkeypatch.setattr(layer, "send", send_and_lose_the_table)
    due.turn()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {TABLE}")
    DelayedMessage.objects.update(due_date="2000-01-01T00:00Z")  # the claim has ended by now
    due.turn()
    assert received(layer) == [1]
    assert not DelayedMessage.objects.exists()


@pytest.mark.django_db
def test_a_mistake_of_ours_does_not_end_it(due, layer, monkeypatch, caplog):
    make(1)
    monkeypatch.setattr(DelayedMessage, "claim", lambda self: 1 / 0)
    assert due.turn() == 7
    assert "Error while sending delayed messages" in caplog.text
    monkeypatch.undo()
    due.turn()
    assert received(layer) == [1]


@pytest.mark.django_db
def test_it_stops_between_two_messages(layer):
    stopping = threading.Event()
    due = Due(layer, pause=7, stopping=stopping)
    make(1), make(2)
    stopping.set()
    due.turn()
    assert received(layer) == []
    assert DelayedMessage.objects.is_due().count() == 2
