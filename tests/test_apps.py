"""The Django app, and what is done when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.apps import apps
from django.core.management import get_commands
from django.core.signals import setting_changed
from django.db import close_old_connections

from channels_classic.apps import ChannelsConfig
from channels_classic.asgi import rebuild_on_change
from channels_classic.signals import consumer_finished, consumer_started


@pytest.fixture
def config():
    return apps.get_app_config("channels_classic")


@pytest.fixture
def fresh_commands():
    """Django's table of commands as it is before any app is ready; put right again at the end."""
    get_commands.cache_clear()
    yield
    get_commands.cache_clear()
    apps.get_app_config("channels_classic").ready()


def receivers(signal):
    return list(signal._live_receivers(sender=None)[0])


def test_naming_the_package_loads_its_config(config):
    assert type(config) is ChannelsConfig


def test_the_app_has_its_names(config):
    assert (config.name, config.label) == ("channels_classic", "channels_classic")
    assert config.verbose_name == "Channels Classic"


@pytest.mark.parametrize(
    "listed",
    [
        ["channels_classic", "django.contrib.staticfiles"],
        ["django.contrib.staticfiles", "channels_classic"],
    ],
)
def test_runserver_is_ours_wherever_the_app_is_listed(listed):
    # In a process of its own: tests that change INSTALLED_APPS make Django drop its table.
    code = f"""
import django
from django.conf import settings
from django.core.management import get_commands
settings.configure(INSTALLED_APPS={listed!r})
django.setup()
print(get_commands()["runserver"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "channels_classic"


def test_no_other_command_is_taken_over(fresh_commands, config):
    before = dict(get_commands())
    config.ready()
    changed = {name for name, app in get_commands().items() if before.get(name) != app}
    assert changed == {"runserver"}


@pytest.mark.parametrize("signal", [consumer_started, consumer_finished])
def test_database_connections_are_looked_after_around_each_consumer(signal):
    assert close_old_connections in receivers(signal)


def test_the_layers_follow_the_settings():
    assert rebuild_on_change in receivers(setting_changed)


def test_being_ready_twice_connects_nothing_twice(config):
    before = len(receivers(setting_changed)), len(receivers(consumer_started))
    config.ready()
    assert (len(receivers(setting_changed)), len(receivers(consumer_started))) == before
