"""A project with the app, in processes of its own, and its database."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgpack

from tests.management.project import Project

#: Whoever does not get at the database soon has an error, as with a server that is away.
DATABASE = """
USE_TZ = True
INSTALLED_APPS.append("channels_classic.delay")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "db.sqlite3",
        "OPTIONS": {"timeout": 0.05},
    }
}
"""


class DelayProject(Project):
    """Its messages are those of the default layer."""

    def __init__(self, folder):
        super().__init__(folder)
        self.add_settings(DATABASE)

    def migrate(self):
        with self.manage("migrate", "--verbosity", "0") as process:
            assert process.wait(60) == 0, process.report()

    def worker(self, *options):
        """A delay worker, which looks often; a context manager."""
        return self.manage("rundelay", "--sleep", "0.05", *options)

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        link = sqlite3.connect(self.folder / "db.sqlite3", timeout=10)
        with contextlib.closing(link), link:
            yield link

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Nobody else gets at the database while the block runs."""
        with self.database() as link:
            link.execute("BEGIN EXCLUSIVE")
            yield
            link.rollback()

    def stored(self):
        """How many messages wait in the database."""
        with self.database() as link:
            [count] = link.execute("SELECT count(*) FROM channels_classic_delay_delayedmessage")
            return count[0]

    def store(self, channel, contents):
        """Messages that have been due for a second."""
        due = datetime.now(UTC) - timedelta(seconds=1)
        rows = [(due.strftime("%F %T.%f"), channel, msgpack.packb(each)) for each in contents]
        with self.database() as link:
            link.executemany(
                "INSERT INTO channels_classic_delay_delayedmessage"
                " (due_date, channel_name, content) VALUES (?, ?, ?)",
                rows,
            )
