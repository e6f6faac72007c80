"""apply_routes: other routes for a block, a function or a whole test case."""

from __future__ import annotations

import asyncio
import unittest

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_classic.asgi import channel_layers
from channels_classic.message import Message
from channels_classic.routing import include, route
from channels_classic.test import apply_routes
from channels_classic.test.recording import fresh_layers
from tests.test import consumers

MEMORY = "channels_classic.layers.memory.InMemoryChannelLayer"


@pytest.fixture(autouse=True)
def _layers(settings):
    settings.CHANNEL_LAYERS = {
        alias: {"BACKEND": MEMORY, "ROUTING": {"configured": consumers.returns}}
        for alias in ("default", "second")
    }
    with fresh_layers(["default", "second"]):
        yield


def channels(alias="default"):
    return channel_layers[alias].router.channels


A = route("a", consumers.returns)
B = route("b", consumers.returns)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        (A, {"a"}),
        ([A, B], {"a", "b"}),
        ((A, B), {"a", "b"}),
        ([[A], [B]], {"a", "b"}),
        ([[A], B, include([], path="/x")], {"a", "b"}),
        ({"a": consumers.returns, "b": consumers.returns}, {"a", "b"}),
        ("tests.test.consumers.routing", {n for r in consumers.routing for n in r.channel_names()}),
        (["tests.test.consumers.routing", A], {"a", "chain"}),
    ],
)
def test_routes_come_in_any_form_that_routing_may_have(routes, expected):
    with apply_routes(routes):
        assert expected <= channels()
        assert "configured" not in channels()
    assert channels() == {"configured"}


def test_weakness_23_an_empty_list_is_no_route_at_all():
    with apply_routes([]):
        assert channels() == set()
    assert channels() == {"configured"}


@pytest.mark.parametrize("aliases", [["second"], ("second",), "second"])
def test_weakness_23_only_the_layers_that_are_named_are_changed(aliases):
    with apply_routes([A], aliases=aliases):
        assert channels() == {"configured"}
        assert channels("second") == {"a"}
    assert channels("second") == {"configured"}


def test_weakness_23_several_layers_can_be_named():
    with apply_routes([A], aliases=["default", "second"]):
        assert channels() == channels("second") == {"a"}


def test_an_unknown_layer_is_an_error_and_changes_nothing():
    with pytest.raises(KeyError, match="no layer 'third'"), apply_routes([A], ["default", "third"]):
        pass
    assert channels() == {"configured"}


def test_routes_that_are_none_are_an_error_and_change_nothing():
    with pytest.raises(ImproperlyConfigured, match="is not a route"), apply_routes([42]):
        pass
    assert channels() == {"configured"}


def test_the_routing_is_there_to_look_at_too():
    with apply_routes(A):
        assert channel_layers["default"].routing == [A]
        matched = channel_layers["default"].router.match(Message({}, "a", None))
        assert matched == (consumers.returns, {})
    assert channel_layers["default"].routing == {"configured": consumers.returns}


def test_the_routes_are_undone_after_an_error():
    with pytest.raises(LookupError), apply_routes(A):
        raise LookupError
    assert channels() == {"configured"}


def test_it_can_be_nested_also_in_itself():
    applied = apply_routes(A)
    with applied, apply_routes(B), applied:
        assert channels() == {"a"}
    assert channels() == {"configured"}


def test_a_function_has_the_routes_and_returns_what_it_returns():
    @apply_routes(A)
    def function(number, *, more):
        """Its docstring."""
        return number, more, channels()

    assert function(1, more=2) == (1, 2, {"a"})
    assert function.__name__ == "function"
    assert channels() == {"configured"}


def test_a_coroutine_function_has_the_routes_while_it_runs():
    @apply_routes(A)
    async def function():
        await asyncio.sleep(0)
        return channels()

    assert asyncio.run(function()) == {"a"}
    assert channels() == {"configured"}


def run(case):
    result = unittest.TestResult()
    case("test")(result)
    assert not result.errors, result.errors
    return result


def test_a_test_case_has_the_routes_from_its_set_up_to_its_tear_down():
    seen = []

    @apply_routes(A)
    class Case(unittest.TestCase):
        def setUp(self):
            seen.append(channels())

        def test(self):
            seen.append(channels())

        def tearDown(self):
            seen.append(channels())

    run(Case)
    run(Case)
    assert seen == [{"a"}] * 6
    assert channels() == {"configured"}


def test_the_routes_of_a_test_case_are_undone_when_its_set_up_fails():
    @apply_routes(A)
    class Case(unittest.TestCase):
        def setUp(self):
            self.fail("on purpose")

        def test(self):
            """Not reached."""

    assert run(Case).failures
    assert channels() == {"configured"}


def test_the_routes_of_a_test_go_before_those_of_its_test_case():
    seen = []

    @apply_routes(A)
    class Case(unittest.TestCase):
        @apply_routes(B)
        def test(self):
            seen.append(channels())

    run(Case)
    assert seen == [{"b"}]


def test_the_routes_of_a_test_case_go_before_those_of_its_parent():
    seen = []

    @apply_routes(A, aliases=["default", "second"])
    class Parent(unittest.TestCase):
        def setUp(self):
            seen.append(channels())

        def test(self):
            """For the subclass."""

    @apply_routes(B)
    class Case(Parent):
        def setUp(self):
            super().setUp()
            seen.append(channels("second"))

    run(Case)
    assert seen == [{"b"}, {"a"}]


def test_any_other_class_is_refused():
    with pytest.raises(TypeError, match="for functions and test cases"):
        apply_routes(A)(dict)
