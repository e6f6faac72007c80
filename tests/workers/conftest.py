"""The example site inside the test process: its settings, its tables, a layer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from channels_classic import channel_layers
from channels_classic.layers.memory import InMemoryChannelLayer

WORKERS = Path(__file__).parents[2] / "workers"
TAKEN_OVER = ["INSTALLED_APPS", "MIDDLEWARE", "ROOT_URLCONF", "TEMPLATES", "STATICFILES_DIRS"]
OF_APPS = ("CHAT_", "LOGIN_", "LOGOUT_", "NOTIFICATIONS_", "THUMBNAILER_")


@pytest.fixture
def workers_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The example site is not installed: its folder is put on the path, as manage.py does."""
    monkeypatch.syspath_prepend(WORKERS)
    monkeypatch.setenv("VAR_FOLDER", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture(scope="session")
def done_once() -> set[str]:
    """What need not be done again in this process."""
    return set()


@pytest.fixture
def site(
    workers_on_path: None,
    transactional_db: None,
    settings: Any,
    tmp_path: Path,
    done_once: set[str],
) -> Iterator[InMemoryChannelLayer]:
    """The example site as Django's site, on an empty memory layer, which this gives.

    Its tables stay for the next test, as to make them takes longer than most tests; they are empty
    then, as other tests of this process know nothing of them.
    """
    project = import_module("project.settings")
    of_apps = [name for name in dir(project) if name.startswith(OF_APPS)]
    for name in [*TAKEN_OVER, "CHANNEL_LAYERS", *of_apps]:
        setattr(settings, name, getattr(project, name))
    settings.MEDIA_ROOT = tmp_path / "media"
    if "migrate" not in done_once:
        call_command("migrate", verbosity=0)
        done_once.add("migrate")
    yield channel_layers["default"].channel_layer
    call_command("flush", interactive=False, inhibit_post_migrate=True, verbosity=0)
