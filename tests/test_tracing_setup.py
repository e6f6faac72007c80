"""OpenTelemetry set up by the environment, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from channels_classic import tracing_setup
from channels_classic.tracing_setup import CannotTrace, set_up
from tests.acceptance.processes import free_port

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
    said.append(done.stderr)
    return done.stdout


#: What each run has written to its standard error.
said: list[str] = []


def test_spans_go_where_the_environment_says_under_the_name_that_it_says():
    shown = run(OTEL_TRACES_EXPORTER="console")
    assert shown.startswith("True\n")
    assert '"name": "work process"' in shown
    assert '"service.name": "channels-classic test"' in shown
    named = run(OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="site")
    assert '"service.name": "site"' in named


def test_what_cannot_be_exported_is_told_in_the_lines_of_the_command():
    before = (
        "from channels_classic import log\n"
        "log.setup_logger('channels_classic.worker', style='json')"
    )
    nowhere = f"http://127.0.0.1:{free_port()}"
    run(before, OTEL_EXPORTER_OTLP_ENDPOINT=nowhere, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    lines = [json.loads(line) for line in said[-1].splitlines()]
    assert lines[0]["message"] == "Traces go to: otlp"
    assert any(each["logger"].startswith("opentelemetry") for each in lines[1:])


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_where_the_environment_wants_no_traces_nothing_is_done(words, monkeypatch):
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delattr(tracing_setup, "TracerProvider")
    set_up("test")


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
