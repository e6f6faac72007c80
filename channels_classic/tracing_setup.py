"""Sets OpenTelemetry up by the variables of the environment that it defines, for our commands."""

from __future__ import annotations

import logging
import os
from importlib.metadata import entry_points
from typing import Any

from channels_classic.exceptions import ChannelsError
from channels_classic.log import handler

try:
    from opentelemetry import trace as otel
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError:  # without the extra "otel"
    is_installed = False
else:
    is_installed = True

logger = logging.getLogger("channels_classic.tracing")

#: One of these says where spans go: without any, they go nowhere.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS = "OTEL_TRACES_EXPORTER"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: The entry point of each protocol of OTLP.
_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class CannotTrace(ChannelsError):
    """The environment asks for traces that cannot be had."""


def set_up(service: str) -> None:
    """Have spans exported as the environment says, by the name of ``service`` if it says none.

    Nothing is done when it says nothing about exporters, or when somebody has set OpenTelemetry up
    already. To be called in each process, after the project has been loaded. Raises
    ``CannotTrace`` for what is not installed or unknown.
    """
    names = _exporters()
    if not names or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    if not is_installed:
        raise CannotTrace(
            "the environment asks for traces of OpenTelemetry, which is not installed: "
            "pip install 'channels-classic[otel]'"
        )
    if not isinstance(otel.get_tracer_provider(), otel.ProxyTracerProvider):
        return
    provider = TracerProvider(resource=_resource(service))  # the sampler is that of the environment
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(_exporter(name)))
    otel.set_tracer_provider(provider)
    _show_its_logs()
    logger.info("Traces go to: %s", ", ".join(names))


def _show_its_logs() -> None:
    """What it says of exports that fail goes where the rest of a command's lines go."""
    its_logger = logging.getLogger("opentelemetry")
    if not its_logger.handlers:
        its_logger.addHandler(handler)
        its_logger.propagate = False


def _exporters() -> list[str]:
    """As OTEL_TRACES_EXPORTER says; when there is an endpoint alone, OTLP."""
    default = "otlp" if any(os.environ.get(each) for each in _ENDPOINTS) else ""
    names = os.environ.get(_EXPORTERS) or default
    return [each for name in names.split(",") if (each := name.strip()) not in ("", "none")]


def _exporter(name: str) -> Any:
    wanted = name
    if name == "otlp":
        given = (os.environ.get(each) for each in _PROTOCOLS)
        protocol = next(filter(None, given), "http/protobuf")
        wanted = _OTLP.get(protocol, protocol)
    found = entry_points(group="opentelemetry_traces_exporter")
    if wanted not in found.names:
        raise CannotTrace(
            f"{_EXPORTERS}: there is no exporter {name} ({wanted}); installed are: "
            + (", ".join(sorted(found.names)) or "none: pip install 'channels-classic[otel]'")
        )
    return found[wanted].load()()


def _resource(service: str) -> Resource:
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: service}))
    return resource
