"""Small helpers."""

from __future__ import annotations

import functools

import pytest

from channels_classic.utils import check_close_code, name_that_thing, printable


def function():
    pass


class Thing:
    def method(self):
        pass

    @classmethod
    def of_class(cls):
        pass

    @staticmethod
    def static():
        pass

    def __call__(self):
        pass

    class Inner:
        pass


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (function, "function"),
        (Thing, "Thing"),
        (Thing(), "Thing"),
        (Thing().method, "Thing.method"),
        (Thing.method, "Thing.method"),
        (Thing.of_class, "Thing.of_class"),
        (Thing.static, "Thing.static"),
        (Thing.Inner, "Thing.Inner"),
        (Thing.Inner(), "Thing.Inner"),
        (functools.partial(function), "function"),
        (functools.partial(Thing().method, 1), "Thing.method"),
    ],
)
def test_a_thing_is_named_by_its_module_and_name(thing, name):
    assert name_that_thing(thing) == f"{__name__}.{name}"


def test_a_lambda_is_named_by_where_it_is():
    assert name_that_thing(lambda: None).startswith(f"{__name__}.test_a_lambda")


@pytest.mark.parametrize(
    ("thing", "name"),
    [(len, "builtins.len"), (dict, "builtins.dict"), (5, "builtins.int"), ("a", "builtins.str")],
)
def test_what_is_built_in_has_a_name_too(thing, name):
    assert name_that_thing(thing) == name


@pytest.mark.parametrize(
    "code",
    [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999],
)
def test_an_allowed_close_code_is_returned(code):
    assert check_close_code(code) == code


@pytest.mark.parametrize(
    "code", [0, 1, 999, 1002, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, -1, 1000.0]
)
def test_any_other_close_code_is_refused_naming_the_allowed_ones(code):
    with pytest.raises(ValueError, match="use 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999"):
        check_close_code(code)


@pytest.mark.parametrize("code", ["1000", None, True, b"1000", [1000]])
def test_a_close_code_that_is_no_number_is_refused(code):
    with pytest.raises(TypeError, match="a close code is an int, not"):
        check_close_code(code)


def test_what_a_terminal_would_obey_is_written_out():
    assert printable("é\x1b[2J\ttab\nline") == "é\\x1b[2J\\ttab\nline"
