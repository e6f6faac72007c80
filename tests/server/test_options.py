"""What can be set about an interface server."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from click.testing import CliRunner

from channels_classic import cli
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer, ServerOptions

layer = InMemoryChannelLayer()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_timeout", 120),
        ("websocket_timeout", None),
        ("websocket_connect_timeout", 5),
        ("ws_protocols", ()),
        ("root_path", ""),
        ("max_body", 1024**3),
        ("body_part", 64 * 1024),
        ("max_pending", 1000),
        ("max_pending_bytes", 4 * 1024**2),
        ("ordering", True),
        ("max_lane", 100),
        ("max_lane_bytes", 1024**2),
        ("action_logger", None),
    ],
)
def test_the_defaults_are_safe(name, value):
    assert getattr(ServerOptions(), name) == value


@pytest.mark.parametrize(
    "name",
    [
        "http_timeout",
        "websocket_connect_timeout",
        "max_body",
        "body_part",
        "max_pending",
        "max_pending_bytes",
        "max_lane",
        "max_lane_bytes",
    ],
)
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_is_above_zero(name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0, not {value}"):
        ServerOptions(**{name: value})


def test_a_root_path_begins_with_a_slash():
    with pytest.raises(ValueError, match="root_path must begin with '/', not 'app'"):
        ServerOptions(root_path="app")


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(TypeError, match="htp_timeout"):
        ServerOptions(htp_timeout=5)


def test_options_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ServerOptions().root_path = "/app"


@pytest.mark.parametrize(
    ("path", "given", "ordering"),
    [
        ("layer", [], True),
        ("layer", ["--no-ordering"], False),
        ("application", [], False),
        ("application", ["--ordering"], True),
    ],
)
def test_the_command_may_do_without_order(monkeypatch, path, given, ordering):
    """An application has options of its own; what is given on the command line goes before."""
    application = InterfaceServer(layer, ordering=False)
    monkeypatch.setattr(sys.modules[__name__], "application", application, raising=False)
    served = []
    monkeypatch.setattr(cli, "setup_logger", lambda name, verbosity: None)
    monkeypatch.setattr(cli, "_collect_rarely", lambda: None)
    monkeypatch.setattr(cli, "run_server", lambda application, *_, **__: served.append(application))
    outcome = CliRunner().invoke(cli.main, ["server", f"{__name__}:{path}", *given])
    assert (outcome.exit_code, served[0].options.ordering) == (0, ordering), outcome.output
