"""Users of sockets: what ``channels_classic.auth`` does for consumers of Channels 1."""

from __future__ import annotations

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from channels_classic.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)


def user_of(message):
    return message.user


def test_the_keys_of_a_user_are_copied_from_session_to_session():
    keys = {BACKEND_SESSION_KEY: "path", HASH_SESSION_KEY: "hash", SESSION_KEY: "1"}
    target = {"kept": True}
    transfer_user({**keys, "else": 1}, target)
    assert target == {"kept": True, **keys}


def test_a_user_of_whom_a_key_is_missing_is_not_copied():
    target = {}
    transfer_user({BACKEND_SESSION_KEY: "path", SESSION_KEY: "1"}, target)
    assert target == {}


def test_without_a_user_in_the_channel_session_it_is_anonymous(engine, bus):
    assert channel_session_user(user_of)(bus.message()).is_anonymous


def test_the_user_of_the_http_session(cookie, bus):
    assert http_session_user(user_of)(bus.connect(cookie=cookie)).username == "ada"


def test_without_an_http_session_it_is_anonymous(engine, bus):
    assert http_session_user(user_of)(bus.connect()).is_anonymous


def test_the_user_of_the_handshake_is_that_of_later_messages(cookie, bus):
    assert channel_session_user_from_http(user_of)(bus.connect(cookie=cookie)).username == "ada"
    assert channel_session_user(user_of)(bus.message()).username == "ada"


def test_the_user_and_the_http_session_of_the_handshake_are_those_of_later_messages(cookie, bus):
    consumer = channel_and_http_session_user_from_http(
        lambda message: (message.user.username, message.http_session[SESSION_KEY])
    )
    first = consumer(bus.connect(cookie=cookie))
    assert first[0] == "ada"
    assert consumer(bus.message()) == first
