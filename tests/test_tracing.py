"""Traces: what is in a message, what a span keeps, and that nothing of it can do harm."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from channels_classic import Channel, Group, tracing
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import traces, translate
from channels_classic.server.proxies import Proxies
from tests.acceptance.processes import wait_until as until

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = HEADER.split("-")[1:3]
HTTP = {
    "type": "http",
    "method": "GET",
    "path": "/page",
    "http_version": "1.1",
    "client": ("10.0.0.1", 4711),
    "server": ("127.0.0.1", 8000),
    "headers": [(b"traceparent", HEADER.encode()), (b"user-agent", b"test")],
}


@pytest.fixture
def spans(monkeypatch):
    """``spans()``: those that have ended, of a provider of this test's own."""
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("test"))
    yield kept.get_finished_spans
    provider.shutdown()


@pytest.fixture
def layer():
    return ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])


def received(layer, channel):
    return layer.receive([channel])[1]


# Off --------------------------------------------------------------------------------------


def test_without_a_provider_there_is_no_span_and_no_key(layer):
    assert not tracing.is_on()
    assert tracing.begin("work process", "CONSUMER", {}) is tracing.NOTHING
    assert traces.request(HTTP) is tracing.NOTHING
    content = {"photo": 1}
    assert tracing.sent("work", content) is content
    Channel("work", channel_layer=layer).send(content)
    assert received(layer, "work") == {"photo": 1}
    assert tracing.trace_id() == ""


def test_without_the_package_all_goes_on(monkeypatch):
    monkeypatch.setattr(tracing, "is_installed", False)
    monkeypatch.delattr(tracing, "otel")
    with tracing.begin("work process", "CONSUMER", {}) as span:
        span.set("key", 1)
        span.note("retry", delay_seconds=1)
        span.failed(ValueError())
        span.carry({})
        span.link()
    span.end()
    assert (tracing.sent("work", {}), tracing.trace_id(), span.trace_id) == ({}, "", "")


def test_without_the_extras_all_modules_can_be_had():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "False False\n"), done.stderr


WITHOUT = """
import sys
sys.modules["opentelemetry"] = sys.modules["prometheus_client"] = None
from django.conf import settings
settings.configure()
from channels_classic import cli, tracing, tracing_setup, worker
from channels_classic.management.commands import runserver, runworker
print(tracing.is_installed, tracing_setup.is_installed)
"""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis, channels_classic"),
    ],
)
def test_the_environment_turns_our_spans_off(monkeypatch, variable, value):
    provider = TracerProvider()
    monkeypatch.setattr(otel, "get_tracer_provider", lambda: provider)
    assert tracing.Finder()() is not None
    monkeypatch.setenv(variable, value)
    find = tracing.Finder()
    assert find() is None
    monkeypatch.delenv(variable)
    assert find() is None  # for good
    provider.shutdown()


def test_a_provider_that_comes_later_is_found(monkeypatch):
    provider, find = TracerProvider(), tracing.Finder()
    assert find() is None
    monkeypatch.setattr(otel, "get_tracer_provider", lambda: provider)
    until(find)
    monkeypatch.undo()
    assert find() is not None
    provider.shutdown()


# Messages ---------------------------------------------------------------------------------


def test_what_is_sent_in_a_span_carries_its_trace(layer, spans):
    content = {"photo": 1}
    with tracing.begin("outer", "INTERNAL", {}) as outer:
        Channel("work", channel_layer=layer).send(content)
    assert content == {"photo": 1}  # the caller's own
    carried = received(layer, "work")
    sent, _ = spans()
    assert carried["traceparent"].split("-")[1] == outer.trace_id
    assert carried["traceparent"].split("-")[2] == otel.format_span_id(sent.context.span_id)
    assert (sent.name, sent.kind.name) == ("work send", "PRODUCER")
    assert sent.attributes["messaging.destination.name"] == "work"


def test_what_is_passed_on_carries_the_trace_of_now(layer, spans):
    Channel("work", channel_layer=layer).send({"traceparent": HEADER, "tracestate": "a=1"})
    carried = received(layer, "work")
    assert TRACE not in carried["traceparent"]
    assert "tracestate" not in carried


def test_answers_to_clients_carry_none_and_groups_do(layer, spans):
    Channel("server.reply.p!1", channel_layer=layer).send({"text": "hello"})
    Channel("answers?x", channel_layer=layer).send({"text": "hello"})
    layer.group_add("all", "work")
    Group("all", channel_layer=layer).send({"text": "hello"})
    assert received(layer, "server.reply.p!") == {"text": "hello"}
    assert received(layer, "answers?x") == {"text": "hello"}
    assert received(layer, "work").keys() == {"text", "traceparent"}
    assert [span.name for span in spans()] == ["group send"]


def test_servers_pass_the_trace_over_in_what_goes_to_a_group():
    keys = {"traceparent": HEADER, "tracestate": "a=1"}
    assert translate.websocket_events({"text": "hello", **keys}, accepted=True) == [
        {"type": "websocket.send", "text": "hello"}
    ]
    [event] = translate.http_events({"content": b"x", "more_content": True, **keys}, started=True)
    assert event["body"] == b"x"
    with pytest.raises(translate.BadReply, match="no key 'other'"):
        translate.websocket_events({"text": "hello", "other": 1, **keys}, accepted=True)


KNOWN = {"traceparent": HEADER}
FOREIGN = [None, 7, b"00-ab", ["x"], {}, "", "x" * 10_000, "00-0-0-0", HEADER[:-1], "\ud800"]


def test_the_state_of_a_trace_goes_with_it(spans):
    state = "rojo=00f067aa0ba902b7, tenant@system=t61rcWkgMzE"
    with tracing.begin(
        "work process", "CONSUMER", {}, parent={**KNOWN, "tracestate": state}
    ) as span:
        span.carry(content := {})
    assert content["tracestate"].split(",") == state.split(", ")


@pytest.mark.parametrize("value", FOREIGN, ids=repr)
def test_what_is_no_trace_begins_one_and_says_nothing(spans, caplog, value):
    for key in ("traceparent", "tracestate"):
        message = {"traceparent": HEADER, "tracestate": "a=1", key: value}
        with tracing.begin("work process", "CONSUMER", {}, parent=message):
            pass
    begun, known = spans()
    assert begun.parent is None
    assert otel.format_trace_id(known.context.trace_id) == TRACE
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_a_message_goes_on_with_its_own_trace_whatever_goes_on_around_it(spans):
    with tracing.begin("outer", "INTERNAL", {}):
        with tracing.begin("work process", "CONSUMER", {}, parent={"traceparent": HEADER}):
            assert tracing.trace_id() == TRACE
        with tracing.begin("work process", "CONSUMER", {}, parent={}):
            pass
    known, alone, outer = spans()
    assert otel.format_span_id(known.parent.span_id) == SPAN
    assert alone.parent is None
    assert alone.context.trace_id != outer.context.trace_id


def test_texts_are_bounded_and_can_be_exported(spans):
    with tracing.begin("work process", "CONSUMER", {"url.path": "/\ud800" + "x" * 5000}) as span:
        span.failed(ValueError("\ud800"))
    [kept] = spans()
    shown = [*kept.attributes.values(), *kept.events[0].attributes.values()]
    assert all(len(each.encode()) <= 20_000 for each in shown if isinstance(each, str))
    assert kept.attributes["error.type"] == "ValueError"


class Unshowable(Exception):
    def __str__(self):
        raise RuntimeError("not me")


def test_an_error_that_cannot_be_shown_does_no_harm(spans):
    with tracing.begin("work process", "CONSUMER", {}) as span:
        span.failed(Unshowable())
    assert spans()[0].attributes["error.type"] == "Unshowable"


# Requests ---------------------------------------------------------------------------------


def test_the_trace_of_a_trusted_proxy_goes_on(spans):
    scope = Proxies(["10.0.0.1"]).look_behind(HTTP)
    with traces.request(scope) as span:
        assert span.trace_id == TRACE
        traces.answered(span, 200, "a1")
    [kept] = spans()
    assert otel.format_span_id(kept.parent.span_id) == SPAN
    assert (kept.name, kept.kind.name, kept.links) == ("GET", "SERVER", ())
    assert kept.attributes["http.response.status_code"] == 200
    assert kept.attributes["channels_classic.request_id"] == "a1"


def test_that_of_a_stranger_is_linked_to_and_a_new_one_begins(spans):
    scope = Proxies(["10.0.0.2"]).look_behind(HTTP)
    with traces.request(scope) as span:
        traces.answered(span, 503)
    [kept] = spans()
    assert kept.parent is None
    assert [otel.format_trace_id(link.context.trace_id) for link in kept.links] == [TRACE]
    assert not kept.status.is_ok
    assert kept.attributes["error.type"] == "503"


def test_a_header_that_comes_twice_is_none(spans):
    scope = {**HTTP, "headers": HTTP["headers"][:1] * 2}
    with traces.request(scope):
        pass
    assert spans()[0].links == ()


def test_an_unusual_method_and_a_client_that_left_are_told_apart(spans):
    with traces.request({**HTTP, "method": "BREW"}) as span:
        traces.answered(span, 0)
    [kept] = spans()
    assert (kept.name, kept.attributes["http.request.method"]) == ("HTTP", "_OTHER")
    assert [event.name for event in kept.events] == ["client left"]
