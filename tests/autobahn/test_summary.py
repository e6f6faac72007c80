"""The summary of the fuzzing client's cases counts right."""

from __future__ import annotations

from tests.autobahn.summary import summarize


def case(behavior, close="OK"):
    return {"behavior": behavior, "behaviorClose": close, "duration": 1, "remoteCloseCode": 1000}


def test_a_summary_counts_by_group_and_names_what_is_to_be_looked_at():
    cases = {
        "1.1.1": case("OK"),
        "1.1.10": case("FAILED"),
        "1.1.2": case("OK", "INFORMATIONAL"),
        "6.4.3": case("NON-STRICT"),
        "7.1.6": case("INFORMATIONAL", "INFORMATIONAL"),
        "7.1.5": case("NON-STRICT", "WRONG CODE"),
        "7.3.1": case("OK", "UNCLEAN"),
        "12.1.1": case("UNIMPLEMENTED"),
    }
    summary = summarize(cases, ["1", "6", "7", "12"])
    assert list(summary.lines()) == [
        "group   passed  non-strict  informational  failed",
        "1            1           0              1       1",
        "6            0           1              0       0",
        "7            0           0              1       2",
        "12           0           0              0       1",
        "all          1           1              2       4",
        "non-strict: 6.4.3",
        "failed: 1.1.10 (FAILED, close: OK)",
        "failed: 7.1.5 (NON-STRICT, close: WRONG CODE)",
        "failed: 7.3.1 (OK, close: UNCLEAN)",
        "failed: 12.1.1 (UNIMPLEMENTED, close: OK)",
    ]


def test_when_all_is_well_nothing_has_failed():
    assert summarize({"1.1.1": case("OK"), "6.4.3": case("NON-STRICT")}, ["1", "6"]).failed == []


def test_a_group_that_was_not_run_has_failed():
    assert summarize({"1.1.1": case("OK")}, ["1", "13"]).failed == ["13.* (no case was run)"]
