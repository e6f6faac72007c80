"""What tutorials about this architecture have people do: each step is shown by tests.

``coverage/`` has a part for each text: the tutorial of Channels 1, the talk about its design, and
three texts about later versions, whose steps are done with the consumers of this package.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.rows import is_there, read

PARTS = read(Path(__file__).parent / "coverage")
EVERY_STEP = [
    pytest.param(tests, id=f"{part}-{step}")
    for part, each in PARTS.items()
    for step, tests in each["rows"].items()
]


@pytest.mark.parametrize("tests", EVERY_STEP)
def test_a_step_is_shown_by_tests_that_are_there(tests: list[str]) -> None:
    assert tests
    missing = [test for test in tests if not is_there(test)]
    assert not missing


def test_what_is_done_in_another_way_is_said_of_a_step_in_a_sentence() -> None:
    for each in PARTS.values():
        for step, reason in each.get("differs", {}).items():
            assert step in each["rows"]
            assert reason[0].isupper()
            assert reason.endswith(".")


def test_every_text_is_here() -> None:
    assert {part.partition("_")[0] for part in PARTS} == {"s0", "s1", "s2", "s3", "s4"}
