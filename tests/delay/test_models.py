"""DelayedMessage: what it holds, when it is due, how it is sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from opentelemetry.sdk.trace import TracerProvider

from channels_classic import tracing
from channels_classic.asgi import channel_layers
from channels_classic.delay.models import LEASE, DelayedMessage, check
from channels_classic.exceptions import (
    InvalidContent,
    InvalidName,
    LayerUnavailable,
    UndecodableMessage,
)
from channels_classic.layers.memory import InMemoryChannelLayer

pytestmark = pytest.mark.django_db


@pytest.fixture
def layer():
    return InMemoryChannelLayer(capacity=1)


def make(**options):
    given = {"channel_name": "report", "content": {"number": 1}, "delay": 0, **options}
    return DelayedMessage.objects.create(**given)


def in_ms(message):
    """How long until it is due."""
    return (message.due_date - timezone.now()) / timedelta(milliseconds=1)


def test_the_delay_is_in_milliseconds_from_now():
    assert 4000 < in_ms(make(delay=5000)) <= 5000
    message = make()
    message.delay = 60_000
    assert 59_000 < in_ms(message) <= 60_000


def test_the_delay_can_only_be_set():
    with pytest.raises(AttributeError):
        print(make().delay)


@pytest.mark.parametrize("delay", [10**15, 1e300, float("inf")])
def test_a_time_that_there_is_not_is_refused(delay):
    with pytest.raises(ValueError, match="is too long"):
        make(delay=delay)


def test_those_whose_time_has_come_are_due_the_longest_due_first():
    late, _, later = make(delay=-1000), make(delay=60_000), make(delay=-5000)
    assert list(DelayedMessage.objects.is_due()) == [later, late]


def test_the_content_may_hold_all_that_a_message_may():
    content = {"photo": b"\x00\xff", "list": [1, 2.5, None, True], "text": "…"}
    assert DelayedMessage.objects.get(pk=make(content=content).pk).content == content


def test_the_content_may_be_given_as_json_text():
    assert make(content='{"number": 7}').content == {"number": 7}


def test_content_that_no_message_can_carry_is_refused():
    with pytest.raises(InvalidContent, match=r"content\['when'\]"):
        make(content={"when": timezone.now()})


def test_something_else_in_the_database_is_no_content():
    message = make()
    message.packed = b"\xc1"
    with pytest.raises(UndecodableMessage):
        print(message.content)


def test_a_message_that_was_sent_is_deleted(layer):
    make().send(layer)
    assert layer.receive(["report"]) == ("report", {"number": 1})
    assert not DelayedMessage.objects.exists()


def test_it_need_not_be_stored_to_be_sent(layer):
    DelayedMessage(channel_name="report", content={"number": 1}, delay=0).send(layer)
    assert layer.receive(["report"]) == ("report", {"number": 1})


def test_it_is_sent_on_the_default_layer():
    make().send()
    assert channel_layers["default"].receive(["report"]) == ("report", {"number": 1})


@pytest.mark.parametrize(("options", "ms"), [({}, 1000), ({"requeue_delay": 5000}, 5000)])
def test_a_full_channel_makes_it_due_again(layer, options, ms):
    layer.send("report", {"number": 0})
    make().send(layer, **options)
    assert ms - 900 < in_ms(DelayedMessage.objects.get()) <= ms


def test_it_is_kept_when_the_layer_does_not_take_it(layer, monkeypatch):
    with pytest.raises(InvalidName):
        make(channel_name="no name").send(layer)

    def unavailable(channel, content):
        raise LayerUnavailable

    monkeypatch.setattr(layer, "send", unavailable)
    with pytest.raises(LayerUnavailable):
        make().send(layer)
    assert DelayedMessage.objects.count() == 2


def test_of_those_that_claim_a_message_one_has_it():
    pk = make(delay=-1000).pk
    first, second = (DelayedMessage.objects.get(pk=pk) for _ in range(2))
    assert first.claim()
    assert not second.claim()
    assert not DelayedMessage.objects.is_due().exists()


def test_what_a_dead_claimer_has_left_is_due_in_the_end():
    message = make()
    message.claim()
    assert 0 < in_ms(DelayedMessage.objects.get()) <= LEASE * 1000


def test_what_was_not_sent_is_due_as_before():
    message = make(delay=-1000)
    message.claim()
    message.unclaim()
    assert DelayedMessage.objects.is_due().get().due_date == message.due_date


def test_the_migrations_are_those_of_the_model():
    call_command("makemigrations", "channels_classic_delay", check=True, verbosity=0)


def test_what_asgi_delay_keeps_goes_on_with_the_trace_of_its_sender(layer, monkeypatch):
    provider = TracerProvider()
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("test"))
    with tracing.begin("asgi.delay process", "CONSUMER", {}) as span:
        asked = {"channel": "report", "delay": 0, "content": {"number": 1}}
        check(asked, layer).send(layer)
    _, content = layer.receive(["report"])
    assert content["traceparent"].split("-")[1] == span.trace_id
    assert asked["content"] == {"number": 1}
    provider.shutdown()
