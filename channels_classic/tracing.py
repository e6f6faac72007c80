"""Traces: spans of OpenTelemetry where it is installed and set up, next to nothing elsewhere.

A message carries its trace in the keys ``traceparent`` and ``tracestate`` of its content, as the
W3C has it for headers. Anybody may have sent a message: what is no trace there is none.
"""

from __future__ import annotations

import os
import re
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Self

try:
    from opentelemetry import trace as otel
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # without the extra "otel"
    is_installed = False
else:
    is_installed = True
    _W3C = TraceContextTextMapPropagator()

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context

#: The keys of a message that carry its trace, and how long their values are at most.
KEYS = {"traceparent": 128, "tracestate": 512}
#: A member of the second; the library would log each that is none, and anybody may send them.
_MEMBER = re.compile(
    r"(?:[a-z][-_a-z0-9*/]{0,255}|[a-z0-9][-_a-z0-9*/]{0,240}@[a-z][-_a-z0-9*/]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
#: What is kept of a text, and of a traceback, in characters.
_LONGEST, _LONGEST_TRACE = 1000, 20_000
_NAME = "channels_classic"
#: Seconds between two looks for a tracer.
_EVERY = 0.1


class Span:
    """A span of a trace: as a ``with`` block, in which it is the current one, or until ``end``.

    This one is nobody's: it keeps nothing.
    """

    __slots__ = ()
    #: Of its trace, 32 hexadecimal digits; empty where there is none.
    trace_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End it; an exception that ends the block is kept on it."""

    def set(self, key: str, value: Any) -> None:
        """Add an attribute."""

    def note(self, name: str, **attributes: Any) -> None:
        """Add an event, at this time."""

    def failed(self, error: BaseException | str) -> None:
        """What it stands for has failed: by this exception, or for this reason."""

    def carry(self, content: dict[str, Any]) -> None:
        """Put into ``content`` what lets its consumer go on with the trace."""

    def link(self) -> Any:
        """For spans of other traces that have to do with this one."""

    def end(self) -> None:
        """It is over."""


NOTHING = Span()


class _RealSpan(Span):
    __slots__ = ("_block", "_span")

    def __init__(self, span: otel.Span) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:  # type: ignore[override]
        return otel.format_trace_id(self._span.get_span_context().trace_id)

    def __enter__(self) -> Self:
        self._block = otel.use_span(self._span, end_on_exit=True)
        self._block.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._block.__exit__(*error)  # type: ignore[arg-type]

    def set(self, key: str, value: Any) -> None:
        self._span.set_attribute(key, clean(value))

    def note(self, name: str, **attributes: Any) -> None:
        self._span.add_event(name, {key: clean(value) for key, value in attributes.items()})

    def failed(self, error: BaseException | str) -> None:
        if not isinstance(error, BaseException):
            self.set("error.type", error)
            self._span.set_status(otel.StatusCode.ERROR)
            return
        self.set("error.type", type(error).__qualname__)
        with suppress(Exception):  # one that cannot be shown
            text, trace = clean(str(error)), "".join(traceback.format_exception(error))
            shown = {
                "exception.message": text,
                "exception.stacktrace": clean(trace, _LONGEST_TRACE),
            }
            self._span.record_exception(error, shown)
            self._span.set_status(otel.StatusCode.ERROR, text)

    def carry(self, content: dict[str, Any]) -> None:
        for key in KEYS:
            content.pop(key, None)  # of a message that is passed on
        _W3C.inject(content, otel.set_span_in_context(self._span))

    def link(self) -> Any:
        return otel.Link(self._span.get_span_context())

    def end(self) -> None:
        self._span.end()


def is_on() -> bool:
    """Whether spans of ours go anywhere."""
    return _tracer() is not None


def begin(
    name: str,
    kind: str,
    attributes: Mapping[str, Any],
    *,
    parent: Mapping[str, Any] | None = None,
    links: Sequence[Any] = (),
) -> Span:
    """A span that begins now; ``NOTHING`` where nobody keeps any.

    ``kind`` is the name of one of OpenTelemetry's. Its parent is in the keys of ``parent``: a
    message, or headers as a dict; without any of these it is the current span.
    """
    tracer = _tracer()
    if tracer is None:
        return NOTHING
    span = tracer.start_span(
        name,
        context=None if parent is None else context_of(parent),
        kind=otel.SpanKind[kind],
        attributes={k: clean(v) for k, v in attributes.items() if v is not None},
        links=links,
    )
    return _RealSpan(span)


def link_to(carrier: Mapping[str, Any]) -> list[Any]:
    """A link to the trace in the keys of ``carrier``, if there is one."""
    found = otel.get_current_span(context_of(carrier)).get_span_context()
    return [otel.Link(found)] if found.is_valid else []


def context_of(carrier: Mapping[str, Any]) -> Context:
    """The trace in the keys of ``carrier``; that of nobody where there is none."""
    texts = {}
    for key, longest in KEYS.items():
        value = carrier.get(key)
        if isinstance(value, str) and len(value) <= longest:
            texts[key] = value
    members = texts.get("tracestate", "").split(",")
    if not all(_MEMBER.fullmatch(each.strip(" \t")) for each in members):
        texts.pop("tracestate", None)
    return _W3C.extract(texts, otel.set_span_in_context(otel.INVALID_SPAN))


def sent(name: str, content: Any, *, to_group: bool = False, delay: float = 0) -> Any:
    """``content`` as it is to be sent to ``name``: with the trace that goes on there.

    Answers to clients carry none: no consumer gets them. What is no dict is for others to refuse.
    """
    if _tracer() is None or (not to_group and ("!" in name or "?" in name)):
        return content
    if not isinstance(content, dict):
        return content
    attributes = {**messaging("send", name), "channels_classic.delay_seconds": delay or None}
    span = begin("group send" if to_group else f"{name} send", "PRODUCER", attributes)
    carried = dict(content)
    span.carry(carried)
    span.end()
    return carried


def messaging(operation: str, channel: str) -> dict[str, Any]:
    """The attributes of a span about a message, by the semantic conventions."""
    return {
        "messaging.system": _NAME,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": channel,
    }


def trace_id() -> str:
    """The id of the trace that goes on here, 32 hexadecimal digits; empty if there is none."""
    if not is_installed:
        return ""
    found = otel.get_current_span().get_span_context()
    return otel.format_trace_id(found.trace_id) if found.is_valid else ""


def clean(value: Any, longest: int = _LONGEST) -> Any:
    """Texts as exporters can take them: bounded, and nothing in them that UTF-8 has not."""
    if not isinstance(value, str):
        return value
    return value[:longest].encode("utf-8", "backslashreplace").decode()


class Finder:
    """Finds the tracer: a project may set up its own at any time, which then stays for good.

    Until then it is looked for so seldom that this costs nothing.
    """

    def __init__(self) -> None:
        self._found: otel.Tracer | None = None
        self._not_before = 0.0 if is_installed else inf

    def __call__(self) -> otel.Tracer | None:
        """The tracer, once there is one and nobody has turned it off."""
        if self._found is None and (now := time.monotonic()) >= self._not_before:
            self._not_before = now + _EVERY
            self._look()
        return self._found

    def _look(self) -> None:
        provider = otel.get_tracer_provider()
        if isinstance(provider, otel.ProxyTracerProvider):  # there is none yet
            return
        if _is_off():
            self._not_before = inf
        else:
            self._found = provider.get_tracer(_NAME)


_tracer = Finder()


def _is_off() -> bool:
    off = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return is_disabled or _NAME in map(str.strip, off)
