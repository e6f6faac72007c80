"""The example site inside the test process: its settings, its tables, a layer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
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


@pytest.fixture
def site(
    workers_on_path: None, transactional_db: None, settings: Any, tmp_path: Path
) -> Iterator[InMemoryChannelLayer]:
    """The example site as Django's site, on an empty memory layer, which this gives."""
    project = import_module("project.settings")
    of_apps = [name for name in dir(project) if name.startswith(OF_APPS)]
    for name in [*TAKEN_OVER, "CHANNEL_LAYERS", *of_apps]:
        setattr(settings, name, getattr(project, name))
    settings.MEDIA_ROOT = tmp_path / "media"
    call_command("migrate", verbosity=0)
    yield channel_layers["default"].channel_layer
    for label in [*_with_tables(), "admin"]:
        call_command("migrate", label, "zero", verbosity=0)


def _with_tables() -> list[str]:
    """The site's own apps that have migrations."""
    found = {config.label: Path(config.path) for config in apps.get_app_configs()}
    return [
        label
        for label, folder in found.items()
        if folder.parent == WORKERS and (folder / "migrations").is_dir()
    ]
