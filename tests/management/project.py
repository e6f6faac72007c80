"""A small project on disk, whose ``manage.py`` the tests run."""

from __future__ import annotations

import sys
from pathlib import Path

from channels_classic.layers.names import random_letters
from tests.acceptance.processes import Process

MANAGE = """
import os, sys

os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
sys.path.insert(0, {root!r})
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""

SETTINGS = """
SECRET_KEY = "only-for-tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles", "channels_classic"]
ROOT_URLCONF = "site_urls"
STATIC_URL = "/static/"
STATICFILES_DIRS = ["static"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_classic.layers.memory.InMemoryChannelLayer",
        "ROUTING": "site_routing.routes",
    },
}
"""

URLS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("hello from the site"))]
"""

CONSUMERS = """
import time

from channels_classic import Channel

ANSWER = "first"


def echo(message):
    message.reply_channel.send({"text": "You said: " + message["text"]})


def work(message):
    Channel("report").send({"answer": ANSWER, **message.content})


def slow(message):
    Channel("report").send({"slow": "began"}, immediately=True)
    time.sleep(1)  # it works
    Channel("report").send({"slow": "finished"})
"""

ROUTING = """
from channels_classic import route

import site_consumers

routes = [
    route("websocket.receive", site_consumers.echo, path="^/echo/$"),
    route("work", site_consumers.work),
    route("slow", site_consumers.slow),
]
"""


#: With this in the settings the reloader says what it watches, as before that it sees no change,
#: and looks more often.
WATCHFUL = """
from django.utils import autoreload

autoreload.StatReloader.SLEEP_TIME = 0.1
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.utils.autoreload": {"handlers": ["console"], "level": "DEBUG"}},
}
"""


class Project:
    """The files of a project, and its commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("manage.py", MANAGE.format(root=str(Path(__file__).parents[2])))
        self.write("site_settings.py", SETTINGS)
        self.write("site_urls.py", URLS)
        self.write("site_consumers.py", CONSUMERS)
        self.write("site_routing.py", ROUTING)
        self.write("static/hello.txt", "a static file")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)

    def add_settings(self, text: str) -> None:
        self.write("site_settings.py", (self.folder / "site_settings.py").read_text() + text)

    def use(self, url: str, prefix: str) -> None:
        """The default layer is one on this Redis."""
        self.add_settings(
            'CHANNEL_LAYERS["default"]["BACKEND"] = '
            '"channels_classic.layers.redis.RedisChannelLayer"\n'
            'CHANNEL_LAYERS["default"]["CONFIG"] = '
            f'{{"hosts": [{url!r}], "prefix": {prefix!r}}}\n'
        )

    def manage(self, *arguments: str) -> Process:
        """``manage.py`` with these arguments, in the background; a context manager."""
        command = [sys.executable, "manage.py", *arguments]
        log = self.folder / f"{random_letters(6)}.log"
        return Process(command, log=log, cwd=self.folder)
