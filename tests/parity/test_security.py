"""Who may open a socket: the origin validators of Channels 1."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import DenyConnection
from channels_classic.security.websockets import (
    AllowedHostsOnlyOriginValidator,
    BaseOriginValidator,
    allowed_hosts_only,
)


class OnlyOne(BaseOriginValidator):
    def validate_origin(self, message, origin):
        return origin == "http://one.example"


@OnlyOne
def accept(message, **kwargs):
    return "accepted", kwargs


@allowed_hosts_only
def accept_allowed(message):
    return "accepted"


def handshake(bus, origin):
    headers = [] if origin is None else [(b"origin", origin.encode())]
    return bus.connect(headers=headers)


def test_a_validator_lets_through_what_it_says_true_to(bus):
    assert accept(handshake(bus, "http://one.example"), room="a") == ("accepted", {"room": "a"})


@pytest.mark.parametrize("origin", ["http://two.example", "http://é.example", None])
def test_a_validator_denies_the_others(bus, origin):
    with pytest.raises(DenyConnection):
        accept(handshake(bus, origin))


def test_a_header_that_is_missing_is_a_key_error(bus):
    message = handshake(bus, "http://one.example")
    assert accept.get_header(message, "origin") == b"http://one.example"
    with pytest.raises(KeyError):
        accept.get_header(message, "cookie")


def test_an_origin_of_an_allowed_host_is_let_through(bus, settings):
    settings.ALLOWED_HOSTS = ["one.example"]
    assert accept_allowed(handshake(bus, "https://one.example:8443")) == "accepted"


@pytest.mark.parametrize("origin", ["https://two.example", ""])
def test_an_origin_of_another_host_is_denied(bus, settings, origin):
    settings.ALLOWED_HOSTS = ["one.example"]
    with pytest.raises(DenyConnection):
        accept_allowed(handshake(bus, origin))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_in_debug_without_allowed_hosts_this_machine_is_allowed(bus, settings, host):
    settings.DEBUG, settings.ALLOWED_HOSTS = True, []
    assert accept_allowed(handshake(bus, f"http://{host}:8000")) == "accepted"


def test_the_short_name_is_the_class():
    assert allowed_hosts_only is AllowedHostsOnlyOriginValidator
