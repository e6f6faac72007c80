"""A whole project of 2017, as it comes out."""

from __future__ import annotations

import ast
import importlib
import sys

from channels_classic.asgi import build_layer, load_layer_class
from tests.migrate.project_2017 import FILES


def test_the_settings_are_taken_by_the_layers(tree, run, monkeypatch):
    root = tree(FILES)
    run()
    monkeypatch.syspath_prepend(str(root / "shop"))
    settings = importlib.import_module("settings")
    monkeypatch.delitem(sys.modules, "settings")
    for alias, entry in settings.CHANNEL_LAYERS.items():
        build_layer(load_layer_class(alias, entry), alias, entry).close()
    assert settings.INSTALLED_APPS[1:3] == ["channels_classic", "channels_classic.delay"]


def test_no_module_of_channels_1_is_imported_any_more(tree, run):
    root = tree(FILES)
    run()
    for path in root.rglob("*.py"):
        if path.name != "old.py":
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.partition(".")[0] for name in names} & {"channels", "asgi_redis"}


def test_the_other_files_come_out_as_expected(tree, run):
    root = tree(FILES)
    run()
    assert (root / "requirements.txt").read_text() == (
        "Django==1.11.4\nchannels-classic[encryption]  # sockets\nrequests\n"
    )
    assert (
        "'channels_classic/websocketbridge.js'"
        in (root / "chat/templates/chat/index.html").read_text()
    )
    for name in ("Procfile", "Dockerfile", "setup.py", "pyproject.toml", "deploy/shop.service"):
        assert (root / name).read_text() == FILES[name]
