"""The coverage list itself: no row without a test, and no test that is not there."""

from __future__ import annotations

import pytest

from tests.parity.rows import DIFFERS, ROWS, TESTS, is_there, names_in

EVERY_ROW = [
    pytest.param(tests, id=f"{part}-{row}")
    for part, rows in ROWS.items()
    for row, tests in rows.items()
]
EVERY_TEST = sorted({test for rows in ROWS.values() for tests in rows.values() for test in tests})


@pytest.mark.parametrize("tests", EVERY_ROW)
def test_a_row_has_a_test(tests):
    assert tests


@pytest.mark.parametrize("test", EVERY_TEST)
def test_a_test_that_is_named_is_there(test):
    assert is_there(test)


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
