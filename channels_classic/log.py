"""Logging for the commands: one handler, one line a record."""

from __future__ import annotations

import logging

handler = logging.StreamHandler()
handler.setFormatter(
    logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
)

#: The loggers that the commands show.
LOGGERS = ("channels_classic", "django.channels", "uvicorn.error")


def setup_logger(name: str, verbosity: int = 1) -> logging.Logger:
    """The logger ``name``, writing to stderr: INFO and up, DEBUG too when verbosity > 1."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    for each in {name, *LOGGERS}:
        logger = logging.getLogger(each)
        logger.setLevel(level)
        logger.propagate = False
        if handler not in logger.handlers:
            logger.addHandler(handler)
    return logging.getLogger(name)
