"""What can be set about an interface server."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from click.testing import CliRunner

from channels_classic import cli, cli_server
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer, ServerOptions
from channels_classic.server.options import BadOption, Limits, configured

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
    monkeypatch.setattr(cli_server, "setup_logger", lambda *arguments: None)
    monkeypatch.setattr(cli_server, "_collect_rarely", lambda: None)
    monkeypatch.setattr(
        cli_server, "run_server", lambda application, *_, **__: served.append(application)
    )
    outcome = CliRunner().invoke(cli.main, ["server", f"{__name__}:{path}", *given])
    assert (outcome.exit_code, served[0].options.ordering) == (0, ordering), outcome.output


# Who has the last word: the command line, then the code, then the settings, then the default ------


@pytest.fixture
def serve(monkeypatch):
    """``serve(*arguments, **options)``: what the command would serve, of a server with options."""

    def invoke(*arguments, **options):
        made = InterfaceServer(layer, **options) if options else layer
        monkeypatch.setattr(sys.modules[__name__], "target", made, raising=False)
        served = []
        monkeypatch.setattr(cli_server, "setup_logger", lambda *arguments: None)
        monkeypatch.setattr(cli_server, "_collect_rarely", lambda: None)
        monkeypatch.setattr(cli_server, "run_server", lambda *what, **_: served.append(what))
        outcome = CliRunner().invoke(cli.main, ["server", f"{__name__}:target", *arguments])
        assert outcome.exit_code == 0, outcome.output
        [(application, _, limits)] = served
        return application.options, limits

    return invoke


def test_without_any_word_the_default_counts(serve):
    options, limits = serve()
    assert (options.http_timeout, limits.keep_alive) == (120, 20)


def test_settings_go_before_the_default(serve, settings):
    settings.CHANNELS_CLASSIC = {"SERVER": {"http_timeout": 60, "keep_alive": 5, "deflate": True}}
    options, limits = serve()
    assert (options.http_timeout, limits.keep_alive, limits.deflate) == (60, 5, True)


def test_the_code_goes_before_settings(serve, settings):
    settings.CHANNELS_CLASSIC = {"SERVER": {"http_timeout": 60, "full_wait": 3}}
    options, _ = serve(http_timeout=7)
    assert (options.http_timeout, options.full_wait) == (7, 3)


def test_the_command_line_goes_before_the_code(serve, settings):
    settings.CHANNELS_CLASSIC = {"SERVER": {"http_timeout": 60}}
    assert serve("--http-timeout", "2", http_timeout=7)[0].http_timeout == 2


def test_the_command_line_goes_before_settings_also_with_the_default(serve, settings):
    settings.CHANNELS_CLASSIC = {"SERVER": {"keep_alive": 5, "deflate": True}}
    _, limits = serve("--keep-alive", "20", "--no-deflate")
    assert (limits.keep_alive, limits.deflate) == (20, False)


def test_an_unknown_key_is_refused_with_those_that_there_are(settings):
    settings.CHANNELS_CLASSIC = {"SERVER": {"htp_timeout": 60}}
    with pytest.raises(BadOption, match="no option 'htp_timeout': it has .*http_timeout, keep_ali"):
        configured(Limits)


@pytest.mark.parametrize("found", [["http_timeout"], None])
def test_what_is_no_dict_is_refused(settings, found):
    settings.CHANNELS_CLASSIC = {"SERVER": found}
    with pytest.raises(BadOption, match="is not a dict but a"):
        InterfaceServer(layer)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"keep_alive": 0}, "keep_alive must be above 0, not 0"),
        ({"keep_alive": float("nan")}, "keep_alive must be above 0, not nan"),
        ({"keep_alive": True}, "keep_alive must be a number, not True"),
        ({"max_head": "64k"}, "max_head must be a number, not '64k'"),
        ({"ping_interval": -1}, "ping_interval must be 0 or more, not -1"),
        ({"deflate": "yes"}, "deflate must be True or False, not 'yes'"),
    ],
)
def test_a_value_of_another_kind_is_refused(given, sentence):
    with pytest.raises(BadOption) as raised:
        Limits(**given)
    assert str(raised.value) == sentence
