"""What can be set about an interface server."""

from __future__ import annotations

import dataclasses

import pytest

from channels_classic.server import ServerOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_timeout", 120),
        ("websocket_timeout", 86400),
        ("websocket_connect_timeout", 5),
        ("ws_protocols", ()),
        ("root_path", ""),
        ("max_body", 1024**3),
        ("body_part", 64 * 1024),
        ("action_logger", None),
    ],
)
def test_the_defaults_are_safe(name, value):
    assert getattr(ServerOptions(), name) == value


@pytest.mark.parametrize(
    "name", ["http_timeout", "websocket_connect_timeout", "max_body", "body_part"]
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
