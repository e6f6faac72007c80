"""A frame: what is shown of a snapshot, in bounds."""

from __future__ import annotations

import json

import pytest

from channels_classic.layers.traffic import DeadLetter
from channels_classic.monitor.frame import (
    channel_rows,
    frame,
    letter_in_full,
    letter_row,
    matching,
    shown_content,
)
from channels_classic.monitor.limits import Limits
from channels_classic.monitor.rates import rates
from tests.monitor.snapshots import channel, running, server, snapshot, worker

LETTER = DeadLetter(
    id="0-1",
    channel="thumbnails",
    content={"photo": 7},
    attempts=3,
    error="ValueError: no picture\nat all",
    traceback="Traceback\n" * 3,
    worker="host-1-abc",
    died=1_988_150_399.25,
)


def frame_of(found, before=None, letters=(), delayed=(), **limits):
    return frame(found, rates(before, found), letters, delayed, Limits(**limits))


def names(rows):
    return [row["name"] for row in rows]


# Channels ---------------------------------------------------------------------------------


def test_a_channel_has_its_figures_and_its_counts():
    [row] = frame_of(
        snapshot(
            channel(
                "a",
                sent=9,
                completed=5,
                waiting=4,
                oldest=2.345,
                delayed=1,
                next_due=30.0,
                channel_full=1,
                expired=2,
                failed=3,
                retried=4,
                dead=5,
                lost=6,
                dropped=7,
                recovered=0,
            )
        )
    )["channels"]
    assert row == {
        "name": "a",
        "waiting": 4,
        "oldest": 2.3,
        "workers": 1,
        "in": None,
        "out": None,
        "failing": None,
        "completed": 5,
        "sent": 9,
        "refused": 1,
        "expired": 2,
        "failed": 3,
        "retried": 4,
        "dead": 5,
        "lost": 6,
        "delayed": 1,
        "next_due": 30.0,
        "more": {"dropped": 7},
    }


def test_a_channel_where_nothing_waits_has_no_oldest():
    assert frame_of(snapshot(channel("a", oldest=3.0)))["channels"][0]["oldest"] is None


def test_the_busiest_channels_come_first_and_the_others_are_counted():
    before = snapshot(*(channel(each) for each in "abcde"), at=1000)
    after = snapshot(
        channel("a"),
        channel("b", sent=100),
        channel("c", waiting=500),
        channel("d"),
        channel("e", completed=20),
        at=1010,
    )
    found = frame_of(after, before, channels=3)
    assert names(found["channels"]) == ["c", "b", "e"]
    assert found["channels_total"] == 5


def test_quiet_channels_are_in_the_order_of_what_they_did_and_of_their_names():
    quiet = [channel("b"), channel("a"), channel("c", sent=5)]
    found = frame_of(snapshot(*quiet, at=2), snapshot(*quiet, at=1))
    assert names(found["channels"]) == ["c", "a", "b"]


def test_the_figures_of_the_site_are_of_all_channels_and_not_of_those_that_are_shown():
    before = snapshot(*(channel(f"c{n}") for n in range(100)), at=0)
    after = snapshot(
        *(channel(f"c{n}", sent=10, waiting=2, oldest=float(n)) for n in range(100)),
        at=10,
        servers=[server("one", sockets=3, streams=1), server("two", sockets=4)],
        workers=[worker("w", running=[running(1), running(2)])],
    )
    assert frame_of(after, before, channels=1)["total"] == {
        "in": 100,
        "out": 0,
        "failing": 0,
        "waiting": 200,
        "oldest": 99.0,
        "sockets": 7,
        "streams": 1,
        "running": 2,
    }


# Bounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["channels", "servers", "workers", "letters", "delayed", "groups"])
def test_each_list_is_bounded_and_its_total_is_told(name):
    many = 3000
    found = frame(
        snapshot(
            *(channel(f"c{n}", delayed=1) for n in range(many)),
            servers=[server(f"s{n}") for n in range(many)],
            workers=[worker(f"w{n}") for n in range(many)],
            groups={
                "total": many,
                "largest": [{"name": f"g{n}", "members": 9} for n in range(many)],
            },
            dead=many,
        ),
        None,
        [letter_row(LETTER)] * many,
        [{"channel": "c1", "due_in": 1.0}] * many,
        Limits(),
    )
    limit = getattr(Limits(), {"letters": "dead"}.get(name, name))
    assert (len(found[name]), found[f"{name}_total"]) == (limit, many)


def test_the_largest_frame_fits_into_a_message():
    """The default of ``max_message_size`` is a MiB."""
    long = "x" * 200
    limits = Limits()
    found = frame(
        snapshot(
            *(channel(f"{long}{n}", sent=10**9, completed=10**9) for n in range(1000)),
            servers=[server(f"{long}{n}") for n in range(1000)],
            workers=[
                worker(f"{long}{n}", running=[running(1, long, long)] * 100) for n in range(1000)
            ],
            groups={
                "total": 1000,
                "largest": [{"name": long, "members": 9} for n in range(1000)],
            },
            dead=1000,
        ),
        None,
        [letter_row(LETTER._replace(error=long * 10, worker=long, channel=long))] * 1000,
        [{"channel": long, "due_in": 1.0}] * 1000,
        limits,
    )
    assert len(json.dumps(found)) < 1024 * 1024


# Processes --------------------------------------------------------------------------------


def test_a_worker_shows_what_runs_longest_first():
    [row] = frame_of(
        snapshot(
            workers=[
                worker(
                    "w",
                    running=[running(1.04), running(30.0, "slow")],
                    completed={"a": 3, "b": 4},
                    progress=0.25,
                )
            ]
        ),
        running=1,
    )["workers"]
    assert row["running"] == [
        {"channel": "slow", "consumer": "app.consume", "seconds": 30.0, "request_id": ""}
    ]
    assert (row["running_total"], row["completed"], row["progress"]) == (2, 7, 0.2)


def test_the_worker_that_is_busy_longest_comes_first():
    workers = [worker("idle"), worker("short", running=[running(1)])]
    found = snapshot(workers=[*workers, worker("long", running=[running(60)])])
    assert names(frame_of(found)["workers"]) == ["long", "short", "idle"]


def test_servers_have_their_requests_in_a_second():
    before = snapshot(at=0, servers=[server("one", requests=100)])
    after = snapshot(at=4, servers=[server("one", requests=110), server("new", sockets=1)])
    rows = frame_of(after, before)["servers"]
    assert [(row["name"], row["rate"]) for row in rows] == [("new", None), ("one", 2.5)]


def test_processes_that_say_little_are_shown_anyway():
    """They may be of another release."""
    found = frame_of(snapshot(servers=[{"name": "s"}], workers=[{"name": "w"}]))
    assert (found["servers"][0]["sockets"], found["workers"][0]["running"]) == (0, [])
    assert found["total"]["sockets"] == 0


# Dead letters -------------------------------------------------------------------------------


def test_the_row_of_a_dead_letter_has_no_content_and_one_line_of_the_error():
    assert letter_row(LETTER) == {
        "id": "0-1",
        "channel": "thumbnails",
        "attempts": 3,
        "died": 1_988_150_399.25,
        "when": "2032-12-31 23:59:59 UTC",
        "worker": "host-1-abc",
        "error": "ValueError: no picture",
    }


def test_a_dead_letter_in_full_has_both_in_bounds():
    full = letter_in_full(LETTER, Limits(traceback=5))
    assert (full["content"], full["traceback"]) == ("{'photo': 7}", "back\n")


def test_a_content_is_cut():
    shown = shown_content({"text": "é" * 10_000, "more": list(range(10_000))}, 100)
    assert len(shown) < 150
    assert shown.startswith("{'text': 'ééé")
    assert "characters)" in shown


def test_a_content_that_cannot_be_decoded_says_so():
    assert "keys of this layer" in shown_content(None, 100)


# The filter ---------------------------------------------------------------------------------


def test_a_search_finds_channels_by_their_names():
    found = snapshot(channel("Tasks.mail"), channel("http"), channel("mail"))
    assert names(channel_rows(found, None, text="mail")) == ["Tasks.mail", "mail"]


def test_a_search_finds_dead_letters_by_channel_and_error():
    rows = [
        {"channel": "mail", "error": ""},
        {"channel": "thumbnails", "error": "No Mail"},
        {"channel": "http", "error": "x"},
    ]
    assert matching(rows, "mail") == rows[:2]
