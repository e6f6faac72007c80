"""The coverage list itself: no row without a test, and no test that is not there."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from channels_classic.test.conformance import ConformanceTestCase
from tests.parity.rows import DIFFERS, ROWS, TESTS

EVERY_ROW = [
    pytest.param(tests, id=f"{part}-{row}")
    for part, rows in ROWS.items()
    for row, tests in rows.items()
]
EVERY_TEST = sorted({test for rows in ROWS.values() for tests in rows.values() for test in tests})


@cache
def names_in(file):
    """The tests of one file, those in its classes as ``Class::test``."""
    found = set()
    for node in ast.parse((TESTS / file).read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        found |= {f"{prefix}{each.name}" for each in members if isinstance(each, functions)}
    return found


@pytest.mark.parametrize("tests", EVERY_ROW)
def test_a_row_has_a_test(tests):
    assert tests


@pytest.mark.parametrize("test", EVERY_TEST)
def test_a_test_that_is_named_is_there(test):
    file, _, name = test.partition("::")
    if file == "conformance":
        assert callable(getattr(ConformanceTestCase, name))
    else:
        assert name in names_in(file)


@pytest.mark.parametrize("part", DIFFERS)
def test_a_row_that_differs_says_why_in_a_sentence(part):
    for row, reason in DIFFERS[part].items():
        assert reason[0].isupper(), row
        assert reason.endswith("."), row


def test_every_test_of_this_folder_stands_for_a_row():
    here = {
        f"parity/{path.name}::{name}"
        for path in (TESTS / "parity").glob("test_*.py")
        if path.name != "test_coverage.py"
        for name in names_in(f"parity/{path.name}")
        if name.startswith("test_") or "::test_" in name
    }
    assert here <= set(EVERY_TEST)
