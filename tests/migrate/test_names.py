"""The tables of names: every name that is promised a new place."""

from __future__ import annotations

import importlib

import pytest

from channels_classic.migrate import names


@pytest.mark.parametrize("path", sorted(names.CLASSIC))
def test_each_module_of_channels_1_has_its_place(path):
    found = names.look_up(path)
    assert found == (names.Kind.CLASSIC, found.new, "", True)
    assert found.new == path.replace("channels", "channels_classic", 1).replace(".tests", ".test")


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, known in sorted(names.CLASSIC.items()) for name in sorted(known)],
)
def test_each_name_of_channels_1_is_there(module, name):
    place = names.look_up(module).new
    assert hasattr(importlib.import_module(place), name)


def test_no_name_is_of_channels_1_and_of_channels_2():
    for module, modern in names.MODERN_NAMES.items():
        assert not modern & names.CLASSIC[module]
