"""OpenTelemetry set up by the environment, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from channels_classic import tracing_setup
from channels_classic.tracing_setup import CannotTrace, set_up

SCRIPT = """
import sys
from channels_classic import tracing, tracing_setup
{before}
tracing_setup.set_up("channels-classic test")
print(tracing.is_on())
with tracing.begin("work process", "CONSUMER", {{}}):
    pass
"""


def run(before: str = "", **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_spans_go_where_the_environment_says_under_the_name_that_it_says():
    shown = run(OTEL_TRACES_EXPORTER="console")
    assert shown.startswith("True\n")
    assert '"name": "work process"' in shown
    assert '"service.name": "channels-classic test"' in shown
    named = run(OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="site")
    assert '"service.name": "site"' in named


def test_without_a_word_of_the_environment_nothing_is_done():
    assert run() == "False\n"
    assert run(OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT="http://x") == "False\n"
    assert run(OTEL_TRACES_EXPORTER="console", OTEL_SDK_DISABLED="true") == "False\n"


def test_a_provider_that_is_there_stays():
    before = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())"
    )
    assert run(before, OTEL_TRACES_EXPORTER="console") == "True\n"  # and its spans go nowhere


def test_an_exporter_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "carrier_pigeon")
    with pytest.raises(CannotTrace, match="no exporter carrier_pigeon.*installed are: .*console"):
        set_up("test")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(CannotTrace, match="otlp_proto_grpc"):
        set_up("test")


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(tracing_setup, "is_installed", False)
    set_up("test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    with pytest.raises(CannotTrace, match=r"pip install 'channels-classic\[otel\]'"):
        set_up("test")
