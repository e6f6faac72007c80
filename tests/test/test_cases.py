"""ChannelTestCase and TransactionChannelTestCase: layers of their own, and what was sent."""

from __future__ import annotations

import subprocess
import sys
import unittest

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import override_settings

from channels_classic.asgi import channel_layers
from channels_classic.channel import Channel, Group
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.routing import route
from channels_classic.test import (
    ChannelTestCase,
    Client,
    TransactionChannelTestCase,
    apply_routes,
)
from channels_classic.test.recording import RecordingLayer, fresh_layers
from tests.test import consumers

MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"
ROUTES = "tests.test.consumers.routing"


def run(case, name="test"):
    """The result of one test of ``case``, which is defined in a function."""
    result = unittest.TestResult()
    case(name)(result)
    return result


def layer_setting(routing=ROUTES, **options):
    return override_settings(
        CHANNEL_LAYERS={"default": {"BACKEND": MEMORY, "ROUTING": routing, **options}}
    )


# Layers of their own ----------------------------------------------------------------------------


@layer_setting()
class LayerTests(ChannelTestCase):
    def test_the_layer_is_in_memory_and_has_the_routes_of_the_settings(self):
        layer = channel_layers["default"]
        assert layer.local_only()
        assert layer.router.channels == {"websocket.connect", *_names(consumers.routing)}

    def test_each_test_has_an_empty_layer_one(self):
        assert self.get_next_message("left-over") is None
        Channel("left-over").send({})

    test_each_test_has_an_empty_layer_two = test_each_test_has_an_empty_layer_one

    def test_the_default_routes_are_not_added(self):
        assert "http.request" not in channel_layers["default"].router.channels

    def test_a_hundred_messages_have_room_on_a_channel(self):
        for number in range(100):
            Channel("many").send({"number": number})

    def test_the_next_message_is_taken_in_order(self):
        Channel("work").send({"number": 1})
        Channel("work").send({"number": 2})
        assert self.get_next_message("work")["number"] == 1
        assert self.get_next_message("work", require=True)["number"] == 2

    def test_a_message_that_is_required_and_missing_is_a_failure(self):
        assert self.get_next_message("work") is None
        with pytest.raises(self.failureException, match="a message on work"):
            self.get_next_message("work", require=True)


def _names(routing):
    return {name for each in routing for name in each.channel_names()}


class OwnSetUpTests(ChannelTestCase):
    def setUp(self):  # and no super().setUp(), as with Channels 1
        Channel("from-set-up").send({})

    def test_the_layers_are_there_in_a_set_up_that_does_not_call_ours(self):
        assert isinstance(channel_layers["default"].channel_layer, RecordingLayer)
        self.assertSent("from-set-up")


@override_settings(
    CHANNEL_LAYERS={
        alias: {"BACKEND": MEMORY, "ROUTING": {"work": consumers.returns}}
        for alias in ("default", "second", "third")
    }
)
class AliasTests(ChannelTestCase):
    test_channel_aliases = ("default", "second")
    test_channel_options = {"capacity": 1}  # noqa: RUF012

    def test_each_alias_has_a_layer_of_its_own(self):
        Channel("work", alias="second").send({})
        assert self.get_next_message("work") is None
        assert self.get_next_message("work", alias="second") is not None
        self.assertSent("work", alias="second")
        self.assertNotSent("work")

    def test_the_others_are_left_alone(self):
        assert not isinstance(channel_layers["third"].channel_layer, RecordingLayer)

    def test_a_routing_that_is_a_dict_works(self):
        assert channel_layers["second"].router.channels == {"work"}
        assert Client().send_and_consume("work") == "what it returned"

    def test_the_layers_have_the_options_of_the_test_case(self):
        assert channel_layers["second"].get_capacity("work") == 1

    def test_process_all_works_on_all_of_them(self):
        Channel("work").send({})
        Channel("work", alias="second").send({})
        assert self.process_all() == 2


class TransactionTests(TransactionChannelTestCase):
    def test_it_has_a_layer_of_its_own_and_real_transactions(self):
        assert isinstance(channel_layers["default"].channel_layer, RecordingLayer)
        with transaction.atomic():
            Channel("work").send({}, on_commit=True)
            self.assertNotSent("work")
        self.assertSent("work")


@pytest.mark.parametrize("how", ["passes", "fails", "fails in setUp"])
def test_the_layers_come_back_after_the_test(settings, how):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": MEMORY, "ROUTING": []}}
    before = channel_layers["default"]

    class Case(ChannelTestCase):
        databases = frozenset()

        def setUp(self):
            if how == "fails in setUp":
                raise LookupError

        def test(self):
            assert channel_layers["default"] is not before
            if how == "fails":
                raise LookupError

    result = run(Case)
    assert len(result.errors) == (how != "passes")
    assert channel_layers["default"] is before


def test_the_layer_of_the_settings_is_not_made(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "not.there.Layer", "ROUTING": []}}
    with fresh_layers(["default"]):
        assert isinstance(channel_layers["default"].channel_layer, RecordingLayer)
    assert "default" not in channel_layers.backends


def test_settings_without_a_routing_are_an_error_of_the_test(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": MEMORY}}

    class Case(ChannelTestCase):
        databases = frozenset()

        def test(self):
            raise AssertionError("not reached")

    ((_, text),) = run(Case).errors
    assert InvalidChannelLayerError.__name__ in text
    assert "has no ROUTING" in text


def test_a_change_of_the_routing_ends_with_the_test(settings):
    routes = [route("work", consumers.returns)]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": MEMORY, "ROUTING": routes}}
    with fresh_layers(["default"]):
        channel_layers["default"].routing.clear()
    assert len(routes) == 1


def test_messages_do_not_expire_while_a_debugger_waits():
    with fresh_layers(["default"]):
        assert channel_layers["default"].get_expiry("anything") is None


# What was sent ------------------------------------------------------------------------------------


@layer_setting()
class SentTests(ChannelTestCase):
    def test_a_send_is_found_by_some_of_its_items(self):
        Channel("work").send({"number": 1, "more": True})
        assert self.assertSent("work", {"number": 1}) == [{"number": 1, "more": True}]
        self.assertSent("work")

    def test_all_sends_that_match_are_returned(self):
        for number in (1, 2):
            Channel("work").send({"number": number, "kind": "a"})
        Channel("work").send({"number": 3, "kind": "b"})
        found = self.assertSent("work", {"kind": "a"})
        assert [each["number"] for each in found] == [1, 2]

    def test_a_failure_says_what_was_sent_instead(self):
        Channel("work").send({"number": 1})
        with pytest.raises(self.failureException, match=r"'number': 2.*on work[^$]*'number': 1"):
            self.assertSent("work", {"number": 2})

    def test_a_failure_says_where_something_was_sent(self):
        Channel("play").send({})
        with pytest.raises(self.failureException, match="but to: play"):
            self.assertSent("work")

    def test_a_failure_says_that_nothing_was_sent_at_all(self):
        with pytest.raises(self.failureException, match="Nothing was sent at all"):
            self.assertSent("work", {"number": 2})

    def test_what_was_received_or_consumed_since_was_sent(self):
        Client().send_and_consume("chain", {"left": 0})
        self.assertSent("chain", {"left": 0})

    def test_what_a_full_channel_refused_was_not_sent(self):
        with fresh_layers(["default"], capacity=1):
            Channel("work").send({"number": 1})
            with pytest.raises(channel_layers["default"].ChannelFull):
                Channel("work").send({"number": 2})
            self.assertNotSent("work", {"number": 2})

    def test_a_delayed_message_was_sent(self):
        Channel("work").send({}, delay=60)
        self.assertSent("work")

    def test_nothing_was_sent_to_it(self):
        Channel("work").send({"number": 1})
        self.assertNotSent("play")
        self.assertNotSent("work", {"number": 2})
        with pytest.raises(self.failureException, match=r"Sent to work[^$]*'number': 1"):
            self.assertNotSent("work", {"number": 1})

    def test_a_group_without_members_was_sent_to(self):
        Group("news").send({"text": "hello"})
        assert self.assertGroupSent("news", {"text": "hello"}) == [{"text": "hello"}]
        self.assertNotSent("news")

    def test_no_group_was_sent_to(self):
        Channel("news").send({"text": "hello"})
        self.assertGroupNotSent("news")
        with pytest.raises(self.failureException, match="on the group news"):
            self.assertGroupSent("news")

    def test_a_text_is_compared_as_json_with_what_is_no_text(self):
        Client().send_and_consume("announce")
        self.assertGroupSent("news", {"text": {"title": "hello"}})
        self.assertGroupNotSent("news", {"text": {"title": "bye"}})
        self.assertGroupSent("news", {"text": '{"title": "hello"}'})


def test_a_layer_that_does_not_remember_is_an_error():
    with pytest.raises(TypeError, match="use a ChannelTestCase with it in test_channel_aliases"):
        ChannelTestCase("run").assertSent("work")


# All that waits -----------------------------------------------------------------------------------


@layer_setting()
class ProcessAllTests(ChannelTestCase):
    def setUp(self):
        consumers.runs.clear()

    def test_messages_are_run_until_none_is_left(self):
        Channel("chain").send({"left": 3})
        assert self.process_all() == 4
        assert consumers.runs == [3, 2, 1, 0]

    def test_nothing_to_run_is_fine(self):
        assert self.process_all() == 0

    def test_channels_take_turns(self):
        heard = []
        with apply_routes(
            [route(name, lambda message: heard.append(message["n"])) for name in "ab"]
        ):
            for number in (1, 2):
                Channel("a").send({"n": f"a{number}"})
                Channel("b").send({"n": f"b{number}"})
            self.process_all()
        assert heard == ["a1", "b1", "a2", "b2"]

    def test_what_is_on_other_channels_stays_there(self):
        Channel("unrouted").send({})
        self.process_all()
        assert self.get_next_message("unrouted") is not None

    def test_an_error_comes_out_and_leaves_what_comes_after_it(self):
        Channel("fails").send({"reply_channel": "answers"})
        Channel("returns").send({})
        with pytest.raises(LookupError):
            self.process_all()
        assert self.get_next_message("returns") is not None

    def test_a_message_without_a_route_is_an_error(self):
        with apply_routes(route("work", consumers.returns, kind="b")):
            Channel("work").send({"kind": "a"})
            with pytest.raises(AssertionError, match="No route matches <Message on work"):
                self.process_all()

    def test_what_never_ends_is_an_error_that_names_the_channel(self):
        Channel("endless").send({})
        with pytest.raises(AssertionError, match="After 1000 messages .* on endless"):
            self.process_all()

    def test_the_limit_can_be_set(self):
        Channel("chain").send({"left": 3})
        with pytest.raises(AssertionError, match="After 3 messages"):
            self.process_all(limit=3)

    def test_delayed_messages_stay_unless_asked_for(self):
        Channel("periodic").send({"at": 1}, delay=3600)
        assert self.process_all() == 0
        assert consumers.runs == []

    def test_delayed_messages_are_run_when_asked_for_and_those_that_they_send(self):
        Channel("periodic").send({"at": 1}, delay=3600)
        assert self.process_all(delayed=True) == 3
        assert consumers.runs == [1, 2, 3]

    def test_delayed_messages_are_run_in_the_order_of_their_times(self):
        Channel("chain").send({"left": 0}, delay=86400 * 365)
        Channel("periodic").send({"at": 1}, delay=86400)
        self.process_all(delayed=True)
        assert consumers.runs == [1, 2, 3, 0]

    def test_a_client_stays_in_its_groups_when_the_time_moves(self):
        client = Client()
        client.join_group("news")
        Channel("announce").send({}, delay=86400 * 30)
        self.process_all(delayed=True)
        assert client.receive() is not None

    def test_async_consumers_are_run_too(self):
        Channel("async-echo").send({"text": "hello", "reply_channel": "answers"})
        self.process_all()
        self.assertSent("answers", {"text": "hello"})


# Transactions -------------------------------------------------------------------------------------


@layer_setting()
class CommitTests(ChannelTestCase):
    """The transaction around these tests never commits."""

    def test_a_send_on_commit_is_made_outside_of_the_blocks_of_the_code(self):
        Channel("work").send({"number": 1}, on_commit=True)
        assert self.get_next_message("work", require=True)["number"] == 1

    def test_a_send_on_commit_waits_for_the_end_of_the_block(self):
        with transaction.atomic():
            Channel("work").send({}, on_commit=True)
            self.assertNotSent("work")
            assert self.get_next_message("work") is None
        self.assertSent("work")

    def test_a_send_on_commit_in_a_block_that_is_rolled_back_is_not_made(self):
        with transaction.atomic():
            Channel("work").send({}, on_commit=True)
            transaction.set_rollback(True)
        self.assertNotSent("work")

    def test_a_send_on_commit_is_made_once(self):
        Channel("work").send({}, on_commit=True)
        assert len(self.assertSent("work")) == 1
        assert len(self.assertSent("work")) == 1

    def test_it_is_made_once_with_captured_callbacks_too(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            Channel("work").send({"number": 1}, on_commit=True)
            self.assertSent("work", {"number": 1})
            Channel("work").send({"number": 2}, on_commit=True)
        assert len(callbacks) == 2
        assert [each["number"] for each in self.assertSent("work")] == [1, 2]

    def test_a_group_is_sent_to_on_commit(self):
        Group("news").send({"text": "hello"}, on_commit=True)
        self.assertGroupSent("news")

    def test_what_a_consumer_sends_on_commit_goes_with_what_it_sends(self):
        def consumer(message):
            with transaction.atomic():
                get_user_model().objects.create_user("ada")
                Channel("work").send({"number": 1}, on_commit=True)
            Channel("work").send({"number": 2})

        with apply_routes(route("register", consumer)):
            Client().send_and_consume("register")
        assert len(self.assertSent("work")) == 2

    def test_what_an_async_consumer_sends_on_commit_is_sent(self):
        async def consumer(message):
            await sync_to_async(Channel("work").send)({"number": 1}, on_commit=True)

        with apply_routes(route("register", consumer)):
            Client().send_and_consume("register")
        self.assertSent("work")

    def test_process_all_runs_what_was_sent_on_commit(self):
        Channel("chain").send({"left": 0}, on_commit=True)
        assert self.process_all() == 1

    def test_the_callbacks_of_others_are_left_to_django(self):
        ran = []
        transaction.on_commit(lambda: ran.append("callback"))
        Client().send_and_consume("returns")
        assert ran == []
        with self.captureOnCommitCallbacks(execute=True):
            transaction.on_commit(lambda: ran.append("captured"))
        assert ran == ["captured"]

    def test_consumers_see_the_data_of_the_test(self):
        get_user_model().objects.create_user("ada")
        names = []

        def consumer(message):
            names.extend(get_user_model().objects.values_list("username", flat=True))

        with apply_routes(route("work", consumer)):
            Client().send_and_consume("work")
        assert names == ["ada"]

    def test_async_consumers_see_the_data_of_the_test(self):
        get_user_model().objects.create_user("ada")
        names = []

        async def consumer(message):
            names.extend([user.username async for user in get_user_model().objects.all()])

        with apply_routes(route("work", consumer)):
            Client().send_and_consume("work")
        assert names == ["ada"]


# Imports ----------------------------------------------------------------------------------------


def python(code):
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_conformance_suite_can_be_imported_without_settings():
    code = "import channels_classic.test.conformance, sys; print('uvicorn' in sys.modules)"
    done = python(code)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.mark.parametrize("module", ["tests", "tests.base", "tests.http", "tests.websocket"])
def test_the_old_package_works_and_warns(module):
    done = python(f"import channels_classic.{module}")
    assert "DeprecationWarning: channels_classic.tests is now channels_classic.test" in done.stderr
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        f"import importlib, channels_classic.{module} as old\n"
        "new = importlib.import_module(old.__name__.replace('tests', 'test'))\n"
        "assert all(getattr(old, name) is getattr(new, name) for name in old.__all__)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_the_old_live_server_is_the_new_one():
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from channels_classic.test.liveserver import ChannelLiveServerTestCase as new\n"
        "from channels_classic.tests.liveserver import ChannelLiveServerTestCase as old\n"
        "assert new is old"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
