"""Logging for the commands."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys

import pytest

from channels_classic.log import (
    LOGGERS,
    RequestIdFilter,
    handler,
    is_request_id,
    request_id,
    serving,
    setup_logger,
)

NAMES = ("tests.logger", *LOGGERS)


@pytest.fixture(autouse=True)
def _loggers_come_back():
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(each.level, each.propagate, list(each.handlers)) for each in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


@pytest.fixture
def written(monkeypatch):
    """``written()`` is what the handler has written."""
    stream = io.StringIO()
    monkeypatch.setattr(handler, "stream", stream)
    return stream.getvalue


def test_the_logger_of_that_name_is_returned():
    assert setup_logger("tests.logger") is logging.getLogger("tests.logger")


@pytest.mark.parametrize(
    ("verbosity", "level"),
    [(0, logging.WARNING), (1, logging.INFO), (2, logging.DEBUG), (3, logging.DEBUG)],
)
def test_the_verbosity_is_the_level(verbosity, level):
    assert setup_logger("tests.logger", verbosity).level == level


def test_unless_told_it_is_information():
    assert setup_logger("tests.logger").level == logging.INFO


@pytest.mark.parametrize("name", NAMES)
def test_the_loggers_of_the_package_are_set_up_too(name):
    setup_logger("tests.logger", 2)
    logger = logging.getLogger(name)
    assert (logger.level, logger.propagate) == (logging.DEBUG, False)
    assert handler in logger.handlers


def test_setting_up_twice_logs_once(written):
    for _ in range(2):
        logger = setup_logger("tests.logger")
    logger.info("hello")
    assert written().count("hello") == 1


def test_a_logger_below_logs_once(written):
    setup_logger("channels_classic.worker")
    logging.getLogger("channels_classic.worker").info("hello")
    logging.getLogger("channels_classic.dispatch").info("hi")
    assert [line.split()[-1] for line in written().splitlines()] == ["hello", "hi"]


def test_a_record_is_a_line_with_time_and_level(written):
    setup_logger("tests.logger").warning("look out")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING look out\n", written())


def test_records_go_to_the_standard_error():
    code = "from channels_classic.log import setup_logger; setup_logger('a').info('hello')"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr.endswith("INFO hello\n")) == ("", True)


# The id of a request ------------------------------------------------------------------------------


def test_in_the_block_of_a_request_there_is_its_id():
    assert request_id() == ""
    with serving("a1-b2"):
        assert request_id() == "a1-b2"
        with serving("other"):
            assert request_id() == "other"
        assert request_id() == "a1-b2"
    assert request_id() == ""


@pytest.mark.parametrize("value", [None, 7, b"a", "", "a b", "a\n", "x" * 65, "é", ["a"]])
def test_what_cannot_be_an_id_is_none(value):
    assert not is_request_id(value)
    with serving("outside"), serving(value):
        assert request_id() == ""


def test_the_block_ends_by_an_error_too():
    with pytest.raises(KeyError), serving("a1-b2"):
        raise KeyError
    assert request_id() == ""


def test_a_line_about_a_request_has_its_id(written):
    logger = setup_logger("tests.logger")
    with serving("a1-b2"):
        logger.warning("look out")
    logger.warning("look out")
    assert [line.split(" ", 2)[2] for line in written().splitlines()] == [
        "WARNING [a1-b2] look out",
        "WARNING look out",
    ]


def test_the_filter_gives_each_record_the_id():
    records = [logging.makeLogRecord({}) for _ in range(2)]
    with serving("a1-b2"):
        assert RequestIdFilter().filter(records[0])
    assert RequestIdFilter().filter(records[1])
    assert [record.request_id for record in records] == ["a1-b2", "-"]


# Lines for programs -------------------------------------------------------------------------------


def test_each_line_of_json_is_an_object_whatever_is_said_in_it(written):
    logger = setup_logger("tests.logger", style="json")
    with serving("a1-b2"):
        logger.warning("two\nlines, %s \u2028 and \ud800", "é")
    try:
        raise KeyError("mistake")
    except KeyError:
        logger.exception("it failed")
    first, second = (json.loads(line) for line in written().splitlines())
    assert first.pop("ts").endswith("+00:00")
    assert first == {
        "level": "WARNING",
        "logger": "tests.logger",
        "message": "two\nlines, é \u2028 and \ud800",
        "request_id": "a1-b2",
    }
    assert (second["level"], second["request_id"]) == ("ERROR", None)
    assert second["exception"].startswith("Traceback")
    assert second["exception"].endswith("KeyError: 'mistake'")


def test_the_next_to_set_up_decides_how_lines_look(written):
    setup_logger("tests.logger", style="json")
    setup_logger("tests.logger").warning("look out")
    assert written().endswith("WARNING look out\n")
