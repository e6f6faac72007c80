"""A receiver of traces: what processes export by OTLP over HTTP, for tests to look at."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from tests.acceptance.processes import wait_until


@dataclass(frozen=True)
class Seen:
    """One span."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    is_error: bool
    attributes: dict[str, Any]
    #: By their names: the attributes of what was noted on it.
    events: dict[str, dict[str, Any]]
    #: The traces that it is linked to.
    links: list[str]
    began: int
    ended: int


class Receiver:
    """Listens on a free port of loopback while its ``with`` block runs."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.spans += _spans(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: object) -> None:
                """Nobody wants to know."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def env(self) -> dict[str, str]:
        """What a process is to find in its environment."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, trace: str, number: int) -> list[Seen]:
        """The spans of a trace in the order of their begin, once there are so many."""

        def found() -> list[Seen] | None:
            spans = [each for each in list(self.spans) if each.trace == trace]
            return spans if len(spans) >= number else None

        shown = f"{number} spans of {trace}"
        return sorted(wait_until(found, 40, shown), key=lambda each: each.began)


def _spans(request: ExportTraceServiceRequest) -> list[Seen]:
    found = []
    for group in request.resource_spans:
        service = _attributes(group.resource.attributes)["service.name"]
        found += [_seen(service, span) for scope in group.scope_spans for span in scope.spans]
    return found


def _seen(service: str, span: WireSpan) -> Seen:
    return Seen(
        service=service,
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        is_error=span.status.code == 2,
        attributes=_attributes(span.attributes),
        events={event.name: _attributes(event.attributes) for event in span.events},
        links=[link.trace_id.hex() for link in span.links],
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in pairs}
