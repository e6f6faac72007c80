"""Logging for the commands."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys

import pytest

from channels_classic.log import LOGGERS, handler, setup_logger

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
