"""Whose word about the client is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.server.options import BadOption
from channels_classic.server.proxies import Proxies


def scope(client=("10.0.0.1", 5000), kind="http", **headers):
    """A scope with these headers; a list is a header that comes several times."""
    pairs = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return {"type": kind, "client": client, "scheme": kind[:2], "headers": pairs}


def client(found) -> str:
    return found["client"][0]


def test_without_proxies_nobody_is_believed():
    assert not Proxies()
    found = Proxies().look_behind(scope(x_forwarded_for="192.0.2.1", x_forwarded_proto="https"))
    assert found == scope(x_forwarded_for="192.0.2.1", x_forwarded_proto="https")


@pytest.mark.parametrize(
    ("peers", "peer", "is_trusted"),
    [
        (["10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.1"], "10.0.0.2", False),
        (["10.0.0.0/8"], "10.255.0.2", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["::1"], "::1", True),
        (["2001:db8::/32"], "2001:db8::5", True),
        (["*"], "198.51.100.7", True),
        (["unix"], "127.0.0.1", False),
        (["127.0.0.1"], "testclient", False),
    ],
)
def test_a_peer_is_trusted_by_its_address(peers, peer, is_trusted):
    assert Proxies(peers).trust(scope((peer, 1))) is is_trusted


@pytest.mark.parametrize("nobody", [None, ("", 0)])
@pytest.mark.parametrize(("peers", "is_trusted"), [(["unix"], True), (["10.0.0.0/8"], False)])
def test_the_peer_of_a_unix_socket_is_trusted_by_that_word(nobody, peers, is_trusted):
    assert Proxies(peers).trust(scope(nobody)) is is_trusted


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.9", "192.0.2.1"),
        ("10.0.0.8, 10.0.0.9", "10.0.0.8"),
        (["6.6.6.6", "192.0.2.1", "10.0.0.9"], "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::5]:4711", "2001:db8::5"),
        ("2001:db8::5", "2001:db8::5"),
        ("6.6.6.6, unknown, 10.0.0.9", "10.0.0.9"),
        ("unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
        (" , ", "10.0.0.1"),
        ("6.6.6.6<script>", "10.0.0.1"),
    ],
)
def test_the_last_address_that_no_proxy_has_is_the_clients(header, address):
    assert client(Proxies(["10.0.0.0/8"]).look_behind(scope(x_forwarded_for=header))) == address


@pytest.mark.parametrize(
    ("kind", "header", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "HTTPS", "https"),
        ("websocket", "https", "wss"),
        ("websocket", "http", "ws"),
        ("http", "https, http", "http"),
        ("http", "gopher", "ht"),
        ("http", "", "ht"),
    ],
)
def test_the_scheme_is_what_the_nearest_proxy_says(kind, header, scheme):
    found = Proxies(["10.0.0.1"]).look_behind(scope(kind=kind, x_forwarded_proto=header))
    assert found["scheme"] == scheme


def test_the_scope_of_the_host_stays_as_it_was():
    """Some hosts hand the same one to others."""
    given_scope = scope(x_forwarded_for="192.0.2.1")
    Proxies(["*"]).look_behind(given_scope)
    assert given_scope == scope(x_forwarded_for="192.0.2.1")


@pytest.mark.parametrize("peer", ["localhost", "10.0.0.1/33", "10.0.0.1/8", "", "10.0.0"])
def test_what_is_no_address_is_refused_with_advice(peer):
    with pytest.raises(BadOption, match=r"no address or network .* write 10\.0\.0\.1"):
        Proxies([peer])


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_whatever_a_client_writes_the_proxys_entry_is_the_client(written, proto):
    """The proxy appends the address that it saw."""
    headers = {"x_forwarded_for": [written, "192.0.2.1"], "x_forwarded_proto": [proto, "https"]}
    found = Proxies(["10.0.0.1"]).look_behind(scope(**headers))
    assert found["client"] == ("192.0.2.1", 0)
    assert found["scheme"] == "https"
