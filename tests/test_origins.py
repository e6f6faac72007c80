"""Which pages may open WebSockets: by default those of ALLOWED_HOSTS alone."""

from __future__ import annotations

import logging

import pytest

from channels_classic import origins
from channels_classic.exceptions import DenyConnection
from channels_classic.log import Sparingly
from channels_classic.message import Message
from channels_classic.origin_patterns import is_pattern


@pytest.fixture(autouse=True)
def _not_said_yet(monkeypatch):
    monkeypatch.setattr(origins, "_say", Sparingly(logging.getLogger("channels_classic.origins")))


@pytest.fixture(autouse=True)
def hosts(settings):
    settings.ALLOWED_HOSTS = ["example.com", ".shop.org", "[2001:db8::1]"]


def handshake(*headers, path="/chat/"):
    return Message({"headers": list(headers), "path": path}, "websocket.connect", None)


def listing(settings, *patterns):
    settings.CHANNELS_CLASSIC = {"ALLOWED_ORIGINS": list(patterns)}


# By ALLOWED_HOSTS -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        *("https://example.com", "http://example.com", "https://example.com:8443"),
        *("https://EXAMPLE.com", "https://shop.org", "https://a.b.shop.org"),
        *("http://[2001:db8::1]", "http://[2001:db8::1]:8000", "capacitor://example.com"),
    ],
)
def test_a_page_of_an_allowed_host_may_connect(origin):
    assert origins.is_allowed(origin)


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.org", "https://www.example.com", "https://example.com.evil.org"),
        *("https://evilshop.org", "https://evil.org#example.com", "https://evil.org?example.com"),
        *("https://example.com@evil.org", "https://evil.org://example.com", "http://[2001:db8::2]"),
        *("null", "", "example.com", "//example.com", "://example.com", "file://", "https://"),
        *("https://example.com:port", "https://exämple.com", "https://example.com\n", "*"),
    ],
)
def test_any_other_page_may_not(origin):
    assert not origins.is_allowed(origin)


def test_allowed_hosts_may_be_all(settings):
    settings.ALLOWED_HOSTS = ["*"]
    assert origins.is_allowed("https://evil.org")
    assert not origins.is_allowed("null")


@pytest.mark.parametrize(
    ("origin", "debug", "allowed"),
    [
        ("http://localhost:8000", True, True),
        ("http://app.localhost:8000", True, True),
        ("http://127.0.0.1:8000", True, True),
        ("http://[::1]:8000", True, True),
        ("http://192.168.0.7", True, False),
        ("http://localhost:8000", False, False),
    ],
)
def test_in_development_without_hosts_pages_of_this_machine_may_connect(
    settings, origin, debug, allowed
):
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, []
    assert origins.is_allowed(origin) is allowed


# By ALLOWED_ORIGINS -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com", "https://APP.example.com:443"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("https://*.example.com", "https://a.b.example.com"),
        ("https://*.example.com", "https://example.com"),
        ("https://*.example.com:8443", "https://a.example.com:8443"),
        ("*.example.com", "http://a.example.com:8000"),
        (".example.com", "http://a.example.com:8000"),
        ("app.org", "http://app.org:8000"),
        ("app.org:8000", "https://app.org:8000"),
        ("app.org:443", "https://app.org"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("*", "https://evil.org"),
        ("*", "null"),
        ("null", "null"),
        ("file://", "file://"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
    ],
)
def test_a_page_of_a_listed_origin_may_connect(settings, pattern, origin):
    listing(settings, "https://other.org", pattern)
    assert origins.is_allowed(origin)
    assert is_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        ("https://app.example.com", "http://app.example.com"),
        ("https://app.example.com", "https://app.example.com:8443"),
        ("https://app.example.com", "https://sub.app.example.com"),
        ("https://*.example.com", "https://evilexample.com"),
        ("https://*.example.com", "http://a.example.com"),
        ("https://a.*.example.com", "https://a.b.example.com"),
        ("app.org:8000", "http://app.org"),
        ("app.org", "https://sub.app.org"),
        ("app.org", "null"),
        ("https://app.org", ""),
        ("https://app.org/", "https://app.org"),
        ("https://*", "https://app.org"),
    ],
)
def test_a_page_that_differs_in_what_a_pattern_names_may_not(settings, pattern, origin):
    listing(settings, pattern)
    assert not origins.is_allowed(origin)


def test_the_list_takes_the_place_of_allowed_hosts(settings):
    listing(settings, "https://app.org")
    assert not origins.is_allowed("https://example.com")


def test_an_empty_list_is_for_no_browser(settings):
    listing(settings)
    assert not origins.is_allowed("https://example.com")


def test_a_text_is_one_pattern_and_not_the_star_in_it(settings):
    settings.CHANNELS_CLASSIC = {"ALLOWED_ORIGINS": "https://*.example.com"}
    assert origins.is_allowed("https://a.example.com")
    assert not origins.is_allowed("https://evil.org")


@pytest.mark.parametrize(
    "pattern",
    [
        None,
        7,
        b"https://a.org",
        "",
        "https://",
        "https://a.org/",
        "https://*",
        "a*.org",
        "wss://a.org",
    ],
)
def test_what_no_page_can_have_as_its_origin_is_no_pattern(pattern):
    assert not is_pattern(pattern)


# A handshake ------------------------------------------------------------------------------------


def test_a_handshake_of_no_browser_passes():
    origins.check(handshake((b"host", b"example.com")))
    origins.check(Message({}, "websocket.connect", None))


def test_a_handshake_of_a_page_of_an_allowed_host_passes(caplog):
    origins.check(handshake((b"host", b"any"), (b"origin", b"https://example.com")))
    assert caplog.text == ""


@pytest.mark.parametrize("origin", [b"https://evil.org", b"null", b"", b"https://\xff\xfe.org"])
def test_a_handshake_of_any_other_page_is_denied(origin):
    with pytest.raises(DenyConnection):
        origins.check(handshake((b"origin", origin)))


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.org"}, {b"origin": b"null"}])
def test_headers_may_be_a_dict_as_in_old_tests(headers):
    with pytest.raises(DenyConnection):
        origins.check(Message({"headers": headers}, "websocket.connect", None))


def test_the_log_says_who_was_denied_where_and_which_setting_lets_them_in(settings, caplog):
    for owner in ("ALLOWED_HOSTS", "ALLOWED_ORIGINS"):
        with pytest.raises(DenyConnection):
            origins.check(handshake((b"origin", b"https://evil.org")))
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        assert record.message == (
            "Refused the WebSocket on '/chat/' of a page from 'https://evil.org', which is not in "
            f"{owner}. If pages from there are meant to connect, list every origin that is, your "
            'own too: CHANNELS_CLASSIC = {"ALLOWED_ORIGINS": ["https://example.com"]}'
        )
        caplog.clear()
        listing(settings, "https://app.org")
        origins._say = Sparingly(logging.getLogger("channels_classic.origins"))


def test_many_that_are_denied_are_logged_once(caplog):
    for number in range(100):
        with pytest.raises(DenyConnection):
            origins.check(handshake((b"origin", b"https://evil%d.org" % number)))
    assert len(caplog.records) == 1


def test_what_a_client_sends_makes_no_lines_of_its_own_in_the_log(caplog):
    with pytest.raises(DenyConnection):
        origins.check(handshake((b"origin", b"x\nERROR " + b"x" * 10_000), path="/\n" * 5000))
    assert "\n" not in caplog.messages[0]
    assert len(caplog.messages[0]) < 1000
