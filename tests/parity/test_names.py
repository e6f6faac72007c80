"""Every public name is where it was, and stands in a row of the coverage list."""

from __future__ import annotations

import importlib
import re
import sys

import pytest
from django.apps import apps
from django.contrib.staticfiles import finders

from channels_classic import exceptions, package_checks
from tests.parity.names import NAMES
from tests.parity.rows import DIFFERS, ROWS

EVERY_NAME = [(module, name) for module, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("module", "name"), EVERY_NAME)
def test_a_name_is_where_it_was(module, name):
    assert hasattr(importlib.import_module(f"channels_classic{module}"), name)


@pytest.mark.parametrize("name", sorted({name for _, name in EVERY_NAME} - {"Command"}))
def test_a_name_is_in_a_row_of_the_coverage_list(name):
    rows = [row for rows in (ROWS, DIFFERS) for page in rows.values() for row in page]
    assert any(re.search(rf"(?<!\w){name}(?!\w)", row) for row in rows)


def test_the_old_name_of_the_test_package_warns(monkeypatch):
    monkeypatch.delitem(sys.modules, "channels_classic.tests", raising=False)
    with pytest.warns(DeprecationWarning, match=r"channels_classic\.test\b"):
        tests = importlib.import_module("channels_classic.tests")
    now = importlib.import_module("channels_classic.test")
    for name in NAMES[".test"]:
        assert getattr(tests, name) is getattr(now, name)


def test_the_bridge_is_a_static_file():
    assert finders.find("channels_classic/websocketbridge.js")


def test_a_package_that_is_too_old_is_refused(monkeypatch):
    monkeypatch.setitem(package_checks.required_versions, "redis", "9999.0")
    with pytest.raises(RuntimeError, match="redis"):
        package_checks.check_all()


def test_there_is_no_accept_connection():
    assert not hasattr(exceptions, "AcceptConnection")


def test_the_label_of_the_delay_app_is_valid():
    label = apps.get_app_config("channels_classic_delay").label
    assert label.isidentifier()
