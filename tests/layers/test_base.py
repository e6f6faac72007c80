"""Names, capacities and options; and what a layer gets for its classic verbs."""

from __future__ import annotations

import logging
import re

import pytest

from channels_classic.exceptions import (
    ChannelFull,
    InvalidContent,
    InvalidName,
    MessageTooLarge,
)
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.names import (
    non_local_name,
    random_letters,
    valid_channel_name,
    valid_group_name,
    valid_receive_names,
)
from channels_classic.layers.traffic import Envelope

GOOD_NAMES = ["a", "http.request", "A-z_0.9", "body?abc", "reply!abc", "reply!", "x" * 99]
BAD_NAMES = ["", " ", "a b", "a/b", "é", "a\n", "?", "!", "a?", "?a", "!a", "a?b?c", "a!b!c"]
BAD_NAMES += ["a?b!c", "a!b?c", "x" * 100, b"bytes", None, 7]


class Classic(BaseChannelLayer):
    """A layer with the classic verbs alone, which notes what they are called with."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.sent: list[tuple[str, dict]] = []
        self.full: set[str] = set()

    def send(self, channel, content):
        if channel in self.full:
            raise ChannelFull
        self.sent.append((channel, content))

    def send_group(self, group, content):
        self.sent.append((f"group {group}", content))

    def receive(self, channels, block=False):
        return self.sent.pop(0) if self.sent else (None, None)


# Names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_good_channel_name_comes_back(name):
    assert valid_channel_name(name) == name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_channel_name_is_refused(name):
    with pytest.raises(InvalidName, match="is not a channel name: use ASCII letters"):
        valid_channel_name(name)


@pytest.mark.parametrize("name", [*BAD_NAMES, "body?abc", "reply!abc", "reply!"])
def test_a_bad_group_name_is_refused(name):
    with pytest.raises(InvalidName, match="is not a group name"):
        valid_group_name(name)


def test_a_bad_name_is_a_type_error_as_in_channels_1():
    assert issubclass(InvalidName, TypeError)


def test_a_very_long_name_is_shown_in_part():
    with pytest.raises(InvalidName) as caught:
        valid_channel_name("x" * 10_000)
    assert len(str(caught.value)) < 400
    assert "10002 characters" in str(caught.value)


def test_the_connections_of_a_process_are_received_together():
    assert valid_receive_names(("a", "reply!")) == ["a", "reply!"]
    with pytest.raises(InvalidName, match=r"receive 'reply!abc' by its process: 'reply!'"):
        valid_receive_names(["reply!abc"])


@pytest.mark.parametrize("names", ["http.request", b"http.request"])
def test_one_name_is_no_list_of_names(names):
    with pytest.raises(InvalidName, match="takes a list of channel names"):
        valid_receive_names(names)


@pytest.mark.parametrize(
    ("name", "shared"), [("a", "a"), ("a?b", "a?b"), ("a!b", "a!"), ("a!", "a!")]
)
def test_the_non_local_name_ends_with_its_mark(name, shared):
    assert non_local_name(name) == shared


def test_random_letters_are_letters_and_differ():
    words = {random_letters(12) for _ in range(100)}
    assert len(words) == 100
    assert all(re.fullmatch("[a-zA-Z]{12}", word) for word in words)


def test_a_new_channel_must_fit_the_length_of_names():
    layer = BaseChannelLayer()
    assert re.fullmatch(r"body\?[a-zA-Z]{12}", layer.new_channel("body?"))
    with pytest.raises(InvalidName):
        layer.new_channel("x" * 90 + "?")


# Capacity ---------------------------------------------------------------------------------


def test_the_first_pattern_that_matches_says_the_capacity():
    layer = BaseChannelLayer(
        capacity=7, channel_capacity={"http.*": 1, "http.request": 2, "*.receive": 3}
    )
    names = ("http.request", "websocket.receive", "websocket.receive.more", "other")
    assert [layer.get_capacity(name) for name in names] == [1, 3, 7, 7]


def test_a_glob_matches_whole_names_and_letters_as_they_are():
    layer = BaseChannelLayer(capacity=7, channel_capacity={"http": 1, "TASKS": 2})
    assert [layer.get_capacity(name) for name in ("http.x", "x.http", "tasks")] == [7, 7, 7]


def test_a_regular_expression_is_matched_from_the_start():
    layer = BaseChannelLayer(capacity=7, channel_capacity={re.compile(r"tasks\.[ab]"): 2})
    names = ("tasks.a", "tasks.abc", "my.tasks.a", "tasks.c")
    assert [layer.get_capacity(name) for name in names] == [2, 2, 7, 7]


def test_all_connections_of_a_process_have_one_capacity():
    layer = BaseChannelLayer(capacity=7, channel_capacity={"server.reply.*": 2, "udp!*": 3})
    names = ("server.reply.x!a", "server.reply.x!b", "server.reply.x!", "udp!c", "udp!")
    assert [layer.get_capacity(name) for name in names] == [2, 2, 2, 3, 3]


def test_random_names_do_not_fill_the_memory():
    layer = BaseChannelLayer(channel_capacity={"body*": 5})
    assert {layer.get_capacity(f"body?{number}") for number in range(1000)} == {5}
    assert len(layer._capacities._known) == 0


# Options ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["expiry", "group_expiry", "capacity", "max_message_size"])
@pytest.mark.parametrize("value", [0, -1, "60", True, [1]])
def test_an_option_that_is_no_number_above_0_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a number above 0"):
        BaseChannelLayer(**{name: value})


def test_a_capacity_that_is_no_number_is_named_by_its_pattern():
    with pytest.raises(ValueError, match=r"channel_capacity\['http\.\*'\] must be a number"):
        BaseChannelLayer(channel_capacity={"http.*": "many"})


# What a layer gets for its classic verbs --------------------------------------------------


def test_prepared_sends_go_through_the_classic_verbs_in_order():
    layer = Classic()
    layer.full = {"full"}
    envelopes = [layer.prepare(name, {"n": n}) for n, name in enumerate(("a", "full", "b"))]
    envelopes.append(layer.prepare("chat", {"n": 3}, to_group=True))
    assert layer.deliver(envelopes) == [Envelope("full", {"n": 1})]
    assert layer.sent == [("a", {"n": 0}), ("b", {"n": 2}), ("group chat", {"n": 3})]


def test_a_prepared_send_is_a_copy():
    layer, content = Classic(), {"list": [1]}
    envelope = layer.prepare("a", content)
    content["list"].append(2)
    layer.deliver([envelope])
    assert layer.sent == [("a", {"list": [1]})]


def test_what_is_wrong_with_a_send_is_known_when_it_is_prepared():
    layer = Classic()
    with pytest.raises(InvalidName):
        layer.prepare("not fine", {})
    with pytest.raises(InvalidName):
        layer.prepare("reply!a", {}, to_group=True)
    with pytest.raises(InvalidContent, match="a dict, not"):
        layer.prepare("fine", "text")


def test_a_layer_without_a_send_says_so():
    layer = BaseChannelLayer()
    with pytest.raises(NotImplementedError, match="BaseChannelLayer defines no send or deliver"):
        layer.send("a", {})
    with pytest.raises(NotImplementedError, match="defines no send_group or deliver"):
        layer.send_group("a", {})


def test_messages_that_are_given_back_to_a_full_channel_are_logged(caplog):
    layer = Classic()
    layer.sent = [("a", {}), ("b", {})]
    receiver = layer.receiver(["a", "b"])
    found = [
        *receiver.exchange(done=[], sends=[], limit=1, timeout=0).deliveries,
        *receiver.exchange(done=[], sends=[], limit=1, timeout=0).deliveries,
    ]
    layer.full = {"a"}
    with caplog.at_level(logging.WARNING):
        receiver.give_back(found)
    assert layer.sent == [("b", {})]
    assert "a: 1 dropped (given back, but full)" in caplog.text


def test_the_old_name_of_receive_still_works():
    layer = Classic()
    layer.sent = [("a", {})]
    with pytest.warns(DeprecationWarning, match="is now receive"):
        assert layer.receive_many(["a"]) == ("a", {})


def test_the_errors_of_a_layer_are_its_attributes():
    assert BaseChannelLayer.ChannelFull is ChannelFull
    assert BaseChannelLayer.MessageTooLarge is MessageTooLarge


def test_what_belongs_to_one_process_is_not_for_workers(layer):
    with pytest.raises(InvalidName, match="'p!' belongs to one process"):
        layer.receiver(["plain", "p!"])
