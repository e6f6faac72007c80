"""Content to bytes and back; what cannot be carried is named; encryption."""

from __future__ import annotations

import builtins
import collections
import datetime as dt
import sys
import uuid
from decimal import Decimal
from typing import NamedTuple

import msgpack
import pytest
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_classic.exceptions import InvalidContent, MessageTooLarge, UndecodableMessage
from channels_classic.layers.codec import Codec

codec = Codec(max_size=1024 * 1024)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


class Text(str):
    """As Django's safe strings are."""

    __slots__ = ()


class Point(NamedTuple):
    x: dict


def carried(content):
    return codec.decode(codec.encode(content))


# What is carried --------------------------------------------------------------------------


@given(st.dictionaries(st.text(), values))
@settings(max_examples=50, deadline=None)
def test_content_comes_back_as_it_was(content):
    assert repr(carried(content)) == repr(content)


def test_a_tuple_comes_back_as_a_list():
    assert carried({"headers": [(b"a", b"b")]}) == {"headers": [[b"a", b"b"]]}


def test_subclasses_come_back_as_what_they_stand_for():
    content = {Text("key"): Text("value"), "dict": collections.OrderedDict(a=1), "bool": True}
    received = carried(content)
    assert received == {"key": "value", "dict": {"a": 1}, "bool": True}
    assert {type(key) for key in received} == {str}
    assert type(received["dict"]) is dict


def test_whatever_is_nested_deep_enough_to_be_sent_can_be_received():
    content: dict = {}
    for _ in range(900):
        content = {"a": content}
    assert carried(content) == content


# What cannot be carried is named ----------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"a": object()}, "content['a'] is "),
        (
            {"user": {"seen": [0, {"when": dt.date(2020, 1, 1)}]}},
            "content['user']['seen'][1]['when'] is datetime.date(2020, 1, 1) (date), which",
        ),
        ({"a": [[1, {1, 2}]]}, "content['a'][0][1] is "),
        ({"a": 2**64}, "content['a'] is "),
        ({"a": -(2**63) - 1}, "content['a'] is "),
        ({"a": ("b", "\ud800")}, "content['a'][1] is "),
        ({"a": {"\ud800": 1}}, "content['a'] is "),
        ({1: "a"}, "content has the key 1, which is not a str"),
        ({"a": {b"b": 1}}, "content['a'] has the key b'b', which"),
        ({"a": [{"b": {None: 1}}]}, "content['a'][0]['b'] has the key None, which"),
        ({"a": collections.OrderedDict({7: 1})}, "content['a'] has the key 7, which"),
        ({"a": Point({2: 1})}, "content['a'][0] has the key 2, which"),
    ],
)
def test_what_cannot_be_carried_is_named_by_its_path(content, path):
    with pytest.raises(InvalidContent) as caught:
        codec.encode(content)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "send its isoformat()."),
        (get_user_model()(pk=7), "send its pk."),
        ({1, 2}, "send list() of it."),
        (Decimal("1.5"), "send str() of it."),
        (gettext_lazy("text"), "send str() of it."),
        (uuid.uuid4(), "send str() of it."),
        (2**64, "send str() of it."),
        ("\ud800", "send text without surrogates."),
    ],
)
def test_the_error_says_what_to_send_instead(value, advice):
    with pytest.raises(InvalidContent) as caught:
        codec.encode({"a": value})
    assert advice in str(caught.value)


def test_the_value_is_shown_in_part():
    with pytest.raises(InvalidContent) as caught:
        codec.encode({"a": {"x" * 10_000}})
    assert len(str(caught.value)) < 400


def test_a_message_that_holds_itself_is_refused_at_once():
    content: dict = {}
    content["a"] = content["b"] = content
    with pytest.raises(InvalidContent, match="holds itself, or is nested too deeply"):
        codec.encode(content)


# Size -------------------------------------------------------------------------------------


def test_the_size_limit_counts_encoded_bytes():
    exact = Codec(max_size=14)
    assert len(exact.encode({"a": "x" * 10})) == 14
    with pytest.raises(MessageTooLarge, match="has 15 bytes and the layer's limit is 14"):
        exact.encode({"a": "x" * 11})


def test_encryption_does_not_change_what_fits():
    exact = Codec(max_size=14, keys=["secret"])
    assert exact.decode(exact.encode({"a": "x" * 10})) == {"a": "x" * 10}
    with pytest.raises(MessageTooLarge):
        exact.encode({"a": "x" * 11})


# What is no message -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xc1", b"hello", b"\x93\x01", b"\x2a", b"\xc0", b"\x90", b"\x81\x01\x02"),
        *(b"\x80 and more", b"\x91" * 5000, b"\xdf\xff\xff\xff\xff", b"\x81\xa1a\xa1\xff"),
        b"\xff" * 99,
    ],
)
def test_bytes_that_are_no_message_raise_one_error(data):
    with pytest.raises(UndecodableMessage):
        codec.decode(data)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_dict_or_that_error(data):
    try:
        content = codec.decode(data)
    except UndecodableMessage:
        content = {}
    assert isinstance(content, dict)


# Encryption -------------------------------------------------------------------------------


def test_an_encrypted_message_shows_nothing():
    data = Codec(max_size=1000, keys=["key"]).encode({"password": "hunter2"})
    assert b"hunter2" not in data
    assert b"password" not in data


def test_the_first_key_encrypts_and_every_key_decrypts():
    old, both, new = (Codec(max_size=1000, keys=keys) for keys in (["a"], ["b", b"a"], [b"b"]))
    assert both.decode(old.encode({"n": 1})) == {"n": 1}
    assert new.decode(both.encode({"n": 2})) == {"n": 2}
    with pytest.raises(UndecodableMessage):
        old.decode(both.encode({"n": 3}))


def test_a_text_key_and_its_bytes_are_one_key():
    assert (
        Codec(max_size=9, keys=["ключ"]).decode(
            Codec(max_size=9, keys=["ключ".encode()]).encode({})
        )
        == {}
    )


def test_without_the_key_nothing_is_read():
    encrypted = Codec(max_size=1000, keys=["a"])
    with pytest.raises(UndecodableMessage):
        encrypted.decode(codec.encode({"n": 1}))
    with pytest.raises(UndecodableMessage):
        codec.decode(encrypted.encode({"n": 1}))
    tampered = bytearray(encrypted.encode({"n": 1}))
    tampered[20] ^= 1
    with pytest.raises(UndecodableMessage):
        encrypted.decode(bytes(tampered))


@pytest.mark.parametrize("keys", ["key", b"key"])
def test_one_key_is_no_list_of_keys(keys):
    with pytest.raises(ValueError, match="is a list of keys, not one key"):
        Codec(max_size=1000, keys=keys)


@pytest.mark.parametrize("keys", [None, [], ()])
def test_without_keys_nothing_is_encrypted(keys):
    assert Codec(max_size=1000, keys=keys).encode({"a": 1}) == msgpack.packb({"a": 1})


def test_keys_without_the_package_that_encrypts_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without_cryptography(name, *args):
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *args)

    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_cryptography)
    with pytest.raises(ValueError, match=r"pip install channels-classic\[encryption\]"):
        Codec(max_size=1000, keys=["key"])
