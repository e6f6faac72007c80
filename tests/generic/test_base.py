"""BaseConsumer: a class as the consumer of several channels."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.dispatch import find
from channels_classic.generic import BaseConsumer
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.policy import consumer, policy_of
from channels_classic.routing import RouteClass, Router


class Photos(BaseConsumer):
    method_mapping = {"photos.add": "add", "photos.remove": "remove"}  # noqa: RUF012
    size = 100

    def add(self, message, **kwargs):
        self.done = ("add", message["photo"], self.size, kwargs)

    def remove(self, message, **kwargs):
        self.done = ("remove", message["photo"], self.size, kwargs)


def message(channel="photos.add", **content):
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    return Message({"reply_channel": "answers?1", **content}, channel, wrapper)


def test_a_class_consumes_the_channels_of_its_mapping():
    assert Photos.channel_names() == {"photos.add", "photos.remove"}
    assert BaseConsumer.channel_names() == set()


@pytest.mark.parametrize("channel", ["photos.add", "photos.remove"])
def test_an_instance_runs_the_method_for_the_channel(channel):
    made = Photos(message(channel, photo=1), album="summer")
    assert made.done == (channel.partition(".")[2], 1, 100, {"album": "summer"})


def test_an_instance_has_the_message_and_what_its_route_captured():
    got = message(photo=1)
    made = Photos(got, album="summer")
    assert made.message is got
    assert made.kwargs == {"album": "summer"}


def test_a_message_of_another_channel_is_refused_by_name():
    with pytest.raises(ValueError, match=r"Photos has no method for messages on photos\.burn"):
        Photos(message("photos.burn"))


def test_decorators_of_a_project_go_into_get_handler():
    class Doubled(Photos):
        def get_handler(self, message, **kwargs):
            handler = super().get_handler(message, **kwargs)

            def doubled(message, **kwargs):
                handler(message, **kwargs)
                self.done *= 2

            return doubled

    assert len(Doubled(message(photo=1)).done) == 8


# Routes -----------------------------------------------------------------------------------


def test_as_route_routes_to_the_class_itself():
    route = Photos.as_route(album=r"^(?P<album>\w+)$")
    assert isinstance(route, RouteClass)
    assert route.match(message(album="summer")) == (Photos, {"album": "summer"})


def test_as_route_with_attributes_routes_to_a_subclass_that_has_them():
    subclass, _ = Photos.as_route(attrs={"size": 5}).match(message(photo=1))
    assert subclass(message(photo=1)).done == ("add", 1, 5, {})
    assert issubclass(subclass, Photos)
    assert Photos.size == 100


def test_that_subclass_is_called_as_the_class_in_logs():
    subclass, _ = Photos.as_route(attrs={"size": 5}).match(message(photo=1))
    assert (subclass.__module__, subclass.__qualname__) == (__name__, "Photos")


def test_attributes_that_are_no_dict_are_refused():
    with pytest.raises(AssertionError, match="attrs is a dict of attributes, not 5"):
        Photos.as_route(attrs=5)


def test_a_policy_on_a_class_holds_for_its_routes_with_and_without_attributes():
    @consumer(max_attempts=7)
    class Kept(Photos):
        pass

    for route in (Kept.as_route(), Kept.as_route(attrs={"size": 5})):
        match = find(message(photo=1), Router([route]))
        assert policy_of(match.consumer).max_attempts == 7
        assert not match.is_async


# Coroutine functions, which nobody would await --------------------------------------------


def test_a_coroutine_function_among_the_methods_is_refused_by_name():
    with pytest.raises(ImproperlyConfigured, match=r"Wrong\.add is a coroutine function"):

        class Wrong(Photos):
            async def add(self, message, **kwargs):
                pass


@pytest.mark.parametrize("name", ["get_handler", "dispatch"])
def test_so_is_one_that_finds_or_runs_the_method(name):
    async def method(self, message, **kwargs):
        pass

    with pytest.raises(ImproperlyConfigured, match=f"{name} is a coroutine function"):
        type("Wrong", (Photos,), {name: method})


def test_so_is_one_that_a_route_brings_as_an_attribute():
    async def add(self, message, **kwargs):
        pass

    with pytest.raises(ImproperlyConfigured, match=r"Photos\.add is a coroutine function"):
        Photos.as_route(attrs={"add": add})


def test_other_coroutine_functions_are_the_projects_own():
    class Right(Photos):
        async def resize(self):
            pass

    assert Right(message(photo=1)).done == ("add", 1, 100, {})
