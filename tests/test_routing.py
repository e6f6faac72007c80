"""Routing: routes, filters, includes, the router, and consumers that do not fit."""

from __future__ import annotations

import functools
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_classic.exceptions import InvalidName
from channels_classic.handler import ViewConsumer
from channels_classic.message import Message
from channels_classic.routing import (
    Include,
    Route,
    RouteClass,
    Router,
    check_routing,
    connect_consumer,
    include,
    null_consumer,
    route,
    route_class,
)


def first(message, **kwargs):
    pass


def second(message, **kwargs):
    pass


def only_room(message, room):
    pass


def nothing_else(message):
    pass


class ChatConsumer:
    def __init__(self, message, **kwargs):
        pass

    @classmethod
    def channel_names(cls):
        return {"websocket.connect", "websocket.receive"}


class AnythingOnPath:
    """A routing object of a project: matches any channel, says so of one."""

    def __init__(self, path):
        self.path = path

    def match(self, message):
        return (second, {"by": "hand"}) if message.get("path") == self.path else None

    def channel_names(self):
        return {"websocket.connect"}


def received(path="/", channel="websocket.receive", **content):
    return Message({"path": path, **content}, channel, None)


@pytest.fixture
def module(monkeypatch):
    """A module that can be imported as ``shop``."""
    made = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", made)
    return made


# Route ------------------------------------------------------------------------------------


def test_a_route_matches_its_channel_with_no_arguments():
    assert route("http.request", first).match(received(channel="http.request")) == (first, {})


def test_a_route_does_not_match_another_channel():
    assert route("http.request", first).match(received(channel="websocket.connect")) is None


def test_a_route_does_not_match_a_message_without_a_channel():
    assert route("http.request", first).match(received(channel=None)) is None


def test_a_route_takes_several_channels():
    several = route(["a", "b"], first)
    assert several.match(received(channel="a")) == several.match(received(channel="b"))
    assert several.match(received(channel="b")) == (first, {})


def test_a_route_takes_channel_names_from_an_iterator():
    assert route(iter(["a", "b"]), first).channel_names() == {"a", "b"}


def test_a_route_decodes_channel_names_in_bytes():
    assert route([b"a", "b"], first).channel_names() == {"a", "b"}


def test_a_single_channel_name_may_be_bytes():
    assert route(b"websocket.receive", first).channel_names() == {"websocket.receive"}


def test_channel_names_is_a_set_of_the_callers_own():
    made = route("a", first)
    made.channel_names().add("b")
    assert made.channel_names() == {"a"}


def test_a_route_exposes_channels_consumer_and_filters():
    made = route("a", first, path="^/x")
    assert (made.channels, made.consumer, list(made.filters)) == ({"a"}, first, ["path"])


def test_a_bad_channel_name_is_refused():
    with pytest.raises(InvalidName, match="'chat room' is not a channel name"):
        route("chat room", first)


def test_a_channel_name_that_is_no_text_is_refused():
    with pytest.raises(InvalidName, match="7 is not a channel name"):
        route([7], first)


def test_a_consumer_may_be_a_dotted_path(module):
    module.take_order = first
    assert route("orders", "shop.take_order").consumer is first


def test_a_consumer_that_cannot_be_imported_is_named():
    with pytest.raises(ImproperlyConfigured, match=r"the consumer 'nowhere\.at_all'"):
        route("orders", "nowhere.at_all")


def test_a_consumer_that_the_module_does_not_have_is_named(module):
    with pytest.raises(ImproperlyConfigured, match=r"consumer 'shop\.missing': .* \"missing\""):
        route("orders", "shop.missing")


def test_a_consumer_that_cannot_be_called_is_refused():
    with pytest.raises(ImproperlyConfigured, match=r"a callable or its dotted path, not \{\}"):
        route("orders", {})


class Scoped:
    """As consumers of Channels 2 to 4 are."""

    async def __call__(self, scope, receive, send):
        pass

    @classmethod
    def as_asgi(cls):
        async def app(scope, receive, send):
            pass

        return app


class ScopedByVersion2:
    def __init__(self, scope):
        pass


@pytest.mark.parametrize("make", [route, lambda channel, consumer: route_class(consumer)])
@pytest.mark.parametrize("consumer", [Scoped, Scoped.as_asgi(), Scoped(), ScopedByVersion2])
def test_a_consumer_with_a_scope_is_refused_with_what_to_write_instead(make, consumer):
    with pytest.raises(ImproperlyConfigured, match="is an ASGI application, .* Write a function"):
        make("websocket.connect", consumer)


def test_the_repr_of_a_route_reads_like_the_route():
    made = repr(route("a", first, path="^/x"))
    assert made.startswith("route(['a'], ")
    assert made.endswith("first, path='^/x')")


# Filters ----------------------------------------------------------------------------------


def test_a_filter_that_does_not_match_refuses_the_message():
    assert route("websocket.receive", first, path="^/chat/").match(received("/news/")) is None


def test_a_filter_matches_from_the_start():
    assert route("websocket.receive", first, path="chat").match(received("/chat")) is None


def test_the_end_of_a_filter_is_open():
    assert route("websocket.receive", first, path="^/chat").match(received("/chat/room/"))


def test_a_filter_sees_the_leading_slash():
    assert route("websocket.receive", first, path="^chat/").match(received("/chat/")) is None


def test_a_key_that_the_message_lacks_never_matches():
    assert route("websocket.receive", first, text=".*").match(received()) is None


def test_every_filter_has_to_match():
    both = route("websocket.receive", first, path="^/chat", text="^hello")
    assert both.match(received("/chat", text="hello")) == (first, {})
    assert both.match(received("/chat", text="goodbye")) is None


def test_named_groups_become_arguments():
    rooms = route("websocket.receive", first, path=r"^/(?P<room>\w+)/")
    assert rooms.match(received("/lobby/")) == (first, {"room": "lobby"})


def test_the_named_groups_of_all_filters_are_joined():
    two = route("websocket.receive", first, path=r"^/(?P<room>\w+)/", text="(?P<verb>join|leave)")
    assert two.match(received("/lobby/", text="leave")) == (
        first,
        {"room": "lobby", "verb": "leave"},
    )


def test_a_named_group_that_did_not_take_part_is_none():
    optional = route("websocket.receive", first, path=r"^/chat/(?P<room>\w+)?")
    assert optional.match(received("/chat/")) == (first, {"room": None})


def test_a_filter_may_be_bytes():
    assert route("websocket.receive", first, path=b"^/chat").match(received("/chat"))


def test_a_filter_may_be_compiled_already():
    pattern = re.compile("^/CHAT", re.IGNORECASE)
    assert route("websocket.receive", first, path=pattern).match(received("/chat"))


def test_a_value_in_bytes_is_matched_as_text():
    queried = route("websocket.receive", first, query_string="(?P<key>[a-z]+)=")
    assert queried.match(received(query_string=b"page=2")) == (first, {"key": "page"})


def test_a_value_in_bytes_that_are_not_ascii_is_matched_without_an_error():
    queried = route("websocket.receive", first, query_string="^page")
    assert queried.match(received(query_string=b"page=\xff\xfe")) == (first, {})


@pytest.mark.parametrize("value", [b"\xff", 7, 1.5, True, [1], {"a": 1}])
def test_no_kind_of_value_makes_a_filter_raise(value):
    assert route("websocket.receive", first, order="^/").match(received(order=value)) is None


def test_an_int_is_matched_by_its_text():
    assert route("websocket.receive", first, order="^0$").match(received(order=0)) == (first, {})


def test_none_never_matches():
    assert route("websocket.receive", first, text=".*|None").match(received(text=None)) is None


def test_a_positional_group_is_refused_naming_the_route():
    with pytest.raises(
        ValueError, match=r"path='\^/\(chat\)/' of route\(\['a'\], .*first"
    ) as caught:
        route("a", first, path="^/(chat)/")
    assert "(?P<name>…)" in str(caught.value)


def test_a_positional_group_beside_a_named_one_is_refused():
    with pytest.raises(ValueError, match="positional group"):
        route("a", first, path=r"^/(?P<room>\w+)/(chat)/")


def test_a_group_that_does_not_capture_is_allowed():
    assert route("websocket.receive", first, path="^/(?:chat|talk)/").match(received("/talk/"))


def test_a_bad_regular_expression_is_refused_with_its_pattern():
    with pytest.raises(ValueError, match=r"path='\^/\(' of route.* is not a usable regular") as e:
        route("a", first, path="^/(")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("value", [None, 0, ["^/"]])
def test_a_filter_that_is_no_pattern_is_refused(value):
    with pytest.raises(ValueError, match="not a usable regular expression"):
        route("a", first, order=value)


def test_a_compiled_filter_for_bytes_is_refused():
    with pytest.raises(ValueError, match="not a usable regular expression"):
        route("a", first, path=re.compile(b"^/"))


# What consumers take ------------------------------------------------------------------------


def test_a_consumer_without_the_captured_argument_is_refused_in_one_line():
    with pytest.raises(ImproperlyConfigured) as caught:
        route("websocket.receive", nothing_else, path=r"^/(?P<room>\w+)/")
    text = str(caught.value)
    assert "nothing_else" in text
    assert "'room'" in text
    assert r"route(['websocket.receive']" in text
    assert "\n" not in text


def test_a_consumer_that_does_not_take_a_message_is_refused():
    with pytest.raises(ImproperlyConfigured, match="too many positional arguments"):
        route("websocket.receive", lambda: None)


def test_a_consumer_with_the_captured_argument_is_taken():
    made = route("websocket.receive", only_room, path=r"^/(?P<room>\w+)/")
    assert made.match(received("/lobby/")) == (only_room, {"room": "lobby"})


def test_a_consumer_with_any_arguments_is_taken():
    assert route("a", lambda *args, **kwargs: None, path="(?P<room>.*)").consumer


def test_a_route_waits_for_its_includes_before_it_misses_an_argument():
    assert route("a", only_room).consumer is only_room


def test_a_group_called_as_the_first_argument_is_refused():
    with pytest.raises(ImproperlyConfigured, match="multiple values for argument 'message'"):
        route("a", nothing_else, path="(?P<message>.*)")


def test_an_async_consumer_is_checked_too():
    async def later(message):
        pass

    with pytest.raises(ImproperlyConfigured, match="later does not fit"):
        route("a", later, path="(?P<room>.*)")


def test_a_method_is_checked_without_its_self():
    class Chat:
        def receive(self, message, room):
            pass

    assert route("a", Chat().receive, path="(?P<room>.*)").consumer


def test_a_partial_is_checked_by_what_is_left():
    with pytest.raises(ImproperlyConfigured, match="does not fit"):
        route("a", functools.partial(nothing_else, None), path="(?P<room>.*)")


def test_a_decorator_that_adds_and_takes_away_arguments_is_trusted():
    def with_text(function):
        @functools.wraps(function)
        def inner(message, **captured):
            return function(message)

        return inner

    assert route("a", with_text(nothing_else), path="(?P<room>.*)").consumer


def test_a_decorator_without_wraps_is_trusted():
    def bare(function):
        def inner(*args, **kwargs):
            return function(args[0])

        return inner

    assert route("a", bare(nothing_else), path="(?P<room>.*)").consumer


def test_our_own_decorators_are_looked_behind():
    # Compiled as a function of the package: what sessions and auth are made of.
    namespace = {"__name__": "channels_classic.sessions", "wraps": functools.wraps}
    source = "def ours(f):\n @wraps(f)\n def inner(*a, **k): return f(*a, **k)\n return inner"
    exec(source, namespace)
    with pytest.raises(ImproperlyConfigured, match="nothing_else does not fit"):
        route("a", namespace["ours"](nothing_else), path="(?P<room>.*)")


def test_a_consumer_without_a_signature_is_trusted():
    assert route("a", type, path="(?P<room>.*)").consumer is type


# RouteClass -----------------------------------------------------------------------------------


def test_a_route_class_takes_the_channels_of_its_consumer():
    assert route_class(ChatConsumer).channel_names() == ChatConsumer.channel_names()


def test_a_route_class_answers_the_class_itself():
    made = route_class(ChatConsumer, path=r"^/(?P<room>\w+)")
    assert made.match(received("/lobby")) == (ChatConsumer, {"room": "lobby"})


def test_a_route_class_filters_as_a_route_does():
    assert route_class(ChatConsumer, path="^/chat").match(received("/news")) is None


def test_a_route_class_may_be_a_dotted_path(module):
    module.Chat = ChatConsumer
    assert route_class("shop.Chat").consumer is ChatConsumer


def test_a_route_class_refuses_a_consumer_without_channel_names():
    with pytest.raises(ValueError, match="first has not: derive it from BaseConsumer, or use"):
        route_class(first)


def test_a_route_class_refuses_channel_names_that_cannot_be_called():
    with pytest.raises(ValueError, match="channel_names"):
        route_class(type("Chat", (), {"channel_names": ["a"]}))


# Include --------------------------------------------------------------------------------------


def test_an_include_cuts_what_its_prefix_matched():
    chat = include([route("websocket.receive", first, path="^/lobby$")], path="^/chat")
    assert chat.match(received("/chat/lobby")) == (first, {})


def test_an_include_refuses_what_its_prefix_does_not_match():
    chat = include([route("websocket.receive", first)], path="^/chat")
    assert chat.match(received("/news/lobby")) is None


def test_an_include_refuses_a_message_without_the_key_of_its_prefix():
    chat = include([route("websocket.receive", first)], text="^")
    assert chat.match(received("/")) is None


def test_an_include_hands_down_what_its_prefix_captured():
    chat = include([route("websocket.receive", first)], path=r"^/(?P<room>\w+)")
    assert chat.match(received("/lobby")) == (first, {"room": "lobby"})


def test_a_childs_capture_wins_over_its_parents():
    inner = route("websocket.receive", first, path=r"^/(?P<name>\w+)")
    assert include([inner], path=r"^/(?P<name>\w+)").match(received("/one/two")) == (
        first,
        {"name": "two"},
    )


def test_includes_nest():
    inner = include(
        [route("websocket.receive", first, path=r"^/(?P<c>\w+)$")], path=r"^/(?P<b>\w+)"
    )
    outer = include([inner], path=r"^/(?P<a>\w+)")
    assert outer.match(received("/x/y/z")) == (first, {"a": "x", "b": "y", "c": "z"})


def test_the_consumers_message_keeps_its_whole_path():
    message = received("/chat/lobby")
    include([route("websocket.receive", first)], path="^/chat").match(message)
    assert message.content == {"path": "/chat/lobby"}


def test_a_failed_include_leaves_the_message_whole_for_later_entries():
    router = Router(
        [
            include([route("websocket.receive", first, path="^/nowhere")], path="^/chat"),
            route("websocket.receive", second, path="^/chat/lobby"),
        ]
    )
    assert router.match(received("/chat/lobby")) == (second, {})


def test_matching_an_include_copies_no_value_of_the_message():
    class Own(AnythingOnPath):
        def match(self, message):
            return second, {"body": message.content["body"]}

    body = {"large": "value"}
    router = Router([include([Own("/lobby")], path="^/chat")])
    assert router.match(received("/chat/lobby", body=body))[1]["body"] is body


def test_an_include_cuts_bytes_too():
    chat = include([route("websocket.receive", first, query_string="^b=")], query_string="^a=1&")
    assert chat.match(received(query_string=b"a=1&b=\xff")) == (first, {})


def test_a_prefix_never_raises_on_a_value_that_is_no_text():
    chat = include([route("websocket.receive", first, order="^2$")], order="^1")
    assert chat.match(received(order=12)) == (first, {})
    assert chat.match(received(order=None)) is None


def test_a_positional_group_in_a_prefix_is_refused_naming_the_include():
    with pytest.raises(ValueError, match=r"path='\^/\(chat\)' of include\("):
        include([], path="^/(chat)")


def test_the_channels_of_an_include_are_those_of_its_routes():
    assert include(
        [route("a", first), include([route("b", first)])], path="^/"
    ).channel_names() == {
        "a",
        "b",
    }


def test_an_include_takes_a_dotted_path(module):
    module.routing = [route("websocket.receive", first)]
    assert include("shop.routing").match(received()) == (first, {})


def test_an_include_takes_a_dict():
    assert include({"websocket.receive": first}).match(received()) == (first, {})


# Router -----------------------------------------------------------------------------------


def test_the_first_match_wins():
    router = Router([route("websocket.receive", first), route("websocket.receive", second)])
    assert router.match(received()) == (first, {})


def test_routes_are_tried_depth_first():
    router = Router(
        [include([route("websocket.receive", first)]), route("websocket.receive", second)]
    )
    assert router.match(received()) == (first, {})


def test_a_message_that_nothing_matches_has_no_consumer():
    assert Router([route("websocket.receive", first)]).match(received(channel="other")) is None


def test_a_router_knows_the_channels_of_all_its_routes():
    router = Router([route(["a", "b"], first), include([route("c", first)], path="^/")])
    assert router.channels == {"a", "b", "c"}


def test_the_root_of_a_router_is_an_include_without_prefixes():
    root = Router([route("a", first)]).root
    assert isinstance(root, Include)
    assert root.prefixes == {}


def test_a_route_can_be_added_behind_the_others():
    router = Router([route("websocket.receive", first, path="^/chat")])
    router.add_route(route(["websocket.receive", "new"], second))
    assert router.match(received("/chat")) == (first, {})
    assert router.match(received("/news")) == (second, {})
    assert router.channels == {"websocket.receive", "new"}


def test_adding_a_route_leaves_the_projects_list_alone():
    routing = [route("a", first)]
    Router(routing).add_route(route("b", first))
    assert len(routing) == 1


def test_a_routers_routing_may_be_a_dotted_path(module):
    module.channel_routing = [route("a", first)]
    assert Router("shop.channel_routing").channels == {"a"}


def test_a_dotted_path_may_name_a_dict(module):
    module.channel_routing = {"a": first}
    assert Router("shop.channel_routing").match(received(channel="a")) == (first, {})


def test_a_routers_routing_may_be_a_dict_of_dotted_paths(module):
    module.take = first
    assert Router({"a": "shop.take"}).match(received(channel="a")) == (first, {})


def test_routing_that_cannot_be_imported_is_named():
    with pytest.raises(ImproperlyConfigured, match=r"the routing 'nowhere\.routing'"):
        Router("nowhere.routing")


@pytest.mark.parametrize("routing", [None, 5, b"shop", route("a", first)])
def test_routing_that_is_no_list_is_refused(routing):
    with pytest.raises(ImproperlyConfigured, match="routing is a list of routes, a dict"):
        Router(routing)


def test_a_dotted_path_to_a_module_is_refused(module):
    module.routing = ModuleType("shop.routing")
    with pytest.raises(ImproperlyConfigured, match=r"not <module 'shop\.routing'>"):
        Router("shop.routing")


def test_an_entry_that_is_no_route_is_refused():
    with pytest.raises(
        ImproperlyConfigured, match=r"use route\(\), route_class\(\) or include\(\)"
    ):
        Router([first])


def test_resolve_routing_leaves_a_list_as_it_is():
    routing = [route("a", first)]
    assert Router.resolve_routing(routing) is routing


def test_resolve_routing_makes_routes_of_a_dict():
    [made] = Router.resolve_routing({"a": first})
    assert (made.channels, made.consumer) == ({"a"}, first)


def test_normalise_re_arg_makes_text_of_bytes_alone():
    assert (Router.normalise_re_arg(b"^/"), Router.normalise_re_arg("^/")) == ("^/", "^/")


def test_the_short_names_are_the_classes():
    assert (route, route_class, include) == (Route, RouteClass, Include)


# Routing objects of the project ---------------------------------------------------------------


def test_a_routing_object_of_the_project_is_asked():
    assert Router([AnythingOnPath("/x")]).match(received("/x", channel="websocket.connect")) == (
        second,
        {"by": "hand"},
    )


def test_its_channels_are_those_of_the_router_too():
    assert Router([AnythingOnPath("/x"), route("a", first)]).channels == {"websocket.connect", "a"}


@pytest.mark.parametrize("channel", ["websocket.receive", "http.request", "other"])
def test_it_is_asked_for_channels_that_it_does_not_list(channel):
    router = Router([route("http.request", first, path="^/y"), AnythingOnPath("/x")])
    assert router.match(received("/x", channel=channel)) == (second, {"by": "hand"})


def test_it_keeps_its_place_before_routes_behind_it():
    router = Router([AnythingOnPath("/x"), route("websocket.receive", first)])
    assert router.match(received("/x")) == (second, {"by": "hand"})


def test_it_keeps_its_place_behind_routes_before_it():
    router = Router([route("websocket.receive", first), AnythingOnPath("/x")])
    assert router.match(received("/x")) == (first, {})


def test_an_include_shows_it_the_shortened_message():
    router = Router([include([AnythingOnPath("/x")], path="^/chat")])
    assert router.match(received("/chat/x", channel="other")) == (second, {"by": "hand"})


def test_a_route_of_the_project_with_its_own_match_is_asked_for_every_channel():
    class Wide(Route):
        def match(self, message):
            return self.consumer, {}

    assert Router([Wide("a", first)]).match(received(channel="b")) == (first, {})


# The defaults -----------------------------------------------------------------------------------


@pytest.fixture
def defaults():
    router = Router([])
    router.check_default()
    return router


def test_http_goes_to_djangos_views_by_default(defaults):
    consumer, _ = defaults.match(received(channel="http.request"))
    assert isinstance(consumer, ViewConsumer)


def test_http_goes_to_the_consumer_that_is_given():
    router = Router([])
    router.check_default(first)
    assert router.match(received(channel="http.request")) == (first, {})


def test_websockets_are_accepted_by_default(defaults):
    assert defaults.match(received(channel="websocket.connect")) == (connect_consumer, {})


@pytest.mark.parametrize("channel", ["websocket.receive", "websocket.disconnect"])
def test_what_comes_on_a_websocket_is_ignored_by_default(defaults, channel):
    assert defaults.match(received(channel=channel)) == (null_consumer, {})


def test_the_defaults_come_behind_the_projects_routes():
    router = Router([route("websocket.connect", first, path="^/chat")])
    router.check_default()
    assert router.match(received("/chat", channel="websocket.connect")) == (first, {})
    assert router.match(received("/news", channel="websocket.connect"))[0] is connect_consumer


def test_the_defaults_are_channels_to_read(defaults):
    assert defaults.channels == {
        "http.request",
        "websocket.connect",
        "websocket.receive",
        "websocket.disconnect",
    }


def test_connect_consumer_accepts():
    sent = []
    connect_consumer(SimpleNamespace(reply_channel=SimpleNamespace(send=sent.append)), room="x")
    assert sent == [{"accept": True}]


def test_connect_consumer_answers_nobody_without_a_reply_channel():
    assert connect_consumer(received(channel="websocket.connect")) is None


def test_null_consumer_takes_anything():
    assert null_consumer(received(), "more", room="x") is None


# check_routing --------------------------------------------------------------------------------


def test_a_router_whose_consumers_fit_has_no_problem():
    router = Router(
        [
            include([route("a", only_room)], path="(?P<room>.)"),
            route_class(ChatConsumer, path="(?P<room>.)"),
            AnythingOnPath("/x"),
        ]
    )
    assert check_routing(router) == []


def test_what_an_include_captures_and_the_consumer_does_not_take_is_a_problem():
    [problem] = check_routing(Router([include([route("a", nothing_else)], path="(?P<room>.)")]))
    assert "nothing_else does not fit route(['a']" in problem
    assert "unexpected keyword argument 'room'" in problem


def test_what_an_outer_include_captures_counts():
    inner = include([route("a", nothing_else)])
    assert len(check_routing(Router([include([inner], path="(?P<room>.)")]))) == 1


def test_what_a_neighbour_captures_does_not_count():
    neighbour = include([route("a", only_room)], path="(?P<room>.)")
    assert check_routing(Router([neighbour, route("a", nothing_else)])) == []


def test_an_argument_that_nothing_captures_is_a_problem():
    [problem] = check_routing(Router([route("a", only_room)]))
    assert "missing a required argument: 'room'" in problem


def test_a_problem_is_one_line():
    [problem] = check_routing(Router([route("a", only_room)]))
    assert "\n" not in problem
