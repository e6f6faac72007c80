"""tools/assets.py against a registry of its own: what it brings, and what it says if it cannot."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import json
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "assets.py"


class Registry(ThreadingHTTPServer):
    """Answers with what is put into ``answers``: a status and a body for each path, in turn."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.answers: dict[str, list[tuple[int, bytes]]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = self.server.answers.get(self.path, [(404, b"")])
        status, body = answers[0] if len(answers) == 1 else answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        monkeypatch.setenv("npm_config_registry", server.url + "/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def assets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool as a module, with no pauses."""
    spec = importlib.util.spec_from_file_location("assets", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAUSE", 0)
    return module


class Project:
    """A package.json, a folder for what it pins, and the tool between them."""

    def __init__(self, folder: Path, assets: ModuleType, registry: Registry) -> None:
        self.pins = folder / "package.json"
        self.vendor = folder / "vendor"
        self.assets = assets
        self.registry = registry
        self.content: dict[str, Any] = {"dependencies": {}, "assets": {}}

    def pin(
        self, name: str, version: str, files: dict[str, bytes], *wanted: str, path: str = ""
    ) -> str:
        """Publish a package and pin it; where it is published."""
        package = packed(files)
        path = path or f"/{name}/-/{name}-{version}.tgz"
        self.registry.answers[path] = [(200, package)]
        self.content["dependencies"][name] = version
        digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
        self.content["assets"][name] = {"integrity": f"sha512-{digest}", "files": list(wanted)}
        self.pins.write_text(json.dumps(self.content))
        return path

    def bring(self) -> None:
        assets = self.assets.pinned(self.pins)
        self.assets.bring_all(assets, self.vendor, self.registry.url)

    def brought(self) -> dict[str, bytes]:
        files = [path for path in self.vendor.rglob("*") if path.is_file()]
        shown = [path for path in files if not path.name.startswith(".")]
        return {str(path.relative_to(self.vendor)): path.read_bytes() for path in shown}


@pytest.fixture
def project(tmp_path: Path, assets: ModuleType, registry: Registry) -> Project:
    return Project(tmp_path, assets, registry)


def packed(files: dict[str, bytes]) -> bytes:
    """A package as npm packs it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return content.getvalue()


FILES = {"LICENSE": b"free", "dist/a.min.js": b"a()", "src/a.ts": b"a", "package.json": b"{}"}


def test_what_is_listed_is_brought_and_nothing_else(project):
    project.pin("a.js", "1.2.3", FILES, "LICENSE", "dist/a.min.js")
    project.pin("b", "4.0.0", {"b.js": b"b()"}, "b.js")
    project.bring()
    assert project.brought() == {
        "a.js/LICENSE": b"free",
        "a.js/dist/a.min.js": b"a()",
        "b/b.js": b"b()",
    }


def test_a_package_of_a_scope_is_found_where_registries_have_it(project):
    project.pin("@of/us", "1.0.0", FILES, "LICENSE", path="/@of/us/-/us-1.0.0.tgz")
    project.bring()
    assert project.brought() == {"@of/us/LICENSE": b"free"}


def test_what_is_there_is_not_fetched_again_so_no_network_is_needed(project):
    path = project.pin("a", "1.2.3", FILES, "LICENSE")
    for _ in range(2):
        project.bring()
    assert project.registry.asked == [path]
    project.registry.answers.clear()
    project.bring()


def test_a_file_that_was_deleted_is_brought_again(project):
    project.pin("a", "1.2.3", FILES, "LICENSE", "dist/a.min.js")
    project.bring()
    (project.vendor / "a" / "LICENSE").unlink()
    project.bring()
    assert sorted(project.brought()) == ["a/LICENSE", "a/dist/a.min.js"]


def test_another_release_takes_the_place_of_the_one_before(project):
    project.pin("a", "1.2.3", FILES, "LICENSE", "dist/a.min.js")
    project.bring()
    project.pin("a", "2.0.0", {"a.js": b"new()"}, "a.js")
    project.bring()
    assert project.brought() == {"a/a.js": b"new()"}


def test_a_package_that_is_not_what_was_pinned_is_refused(project):
    path = project.pin("a", "1.2.3", FILES, "LICENSE")
    project.registry.answers[path] = [(200, packed({"LICENSE": b"changed"}))]
    with pytest.raises(project.assets.AssetError, match="is not what was pinned: it has sha512-"):
        project.bring()
    assert project.brought() == {}


def test_a_registry_that_fails_for_a_moment_is_asked_again(project):
    path = project.pin("a", "1.2.3", FILES, "LICENSE")
    project.registry.answers[path] = [(503, b""), (500, b""), *project.registry.answers[path]]
    project.bring()
    assert project.registry.asked == [path] * 3
    assert project.brought() == {"a/LICENSE": b"free"}


@pytest.mark.parametrize(("status", "times"), [(404, 1), (503, 3)])
def test_what_cannot_be_fetched_is_named_with_its_address(project, status, times):
    path = project.pin("a", "1.2.3", FILES, "LICENSE")
    project.registry.answers[path] = [(status, b"")]
    with pytest.raises(project.assets.AssetError) as caught:
        project.bring()
    assert project.registry.asked == [path] * times
    for said in ["a 1.2.3", project.registry.url + path, str(status), "npm_config_registry"]:
        assert said in str(caught.value)


def test_a_package_beyond_the_limit_is_refused(project, monkeypatch):
    monkeypatch.setattr(project.assets, "MAX_BYTES", 50)
    project.pin("a", "1.2.3", FILES, "LICENSE")
    with pytest.raises(project.assets.AssetError, match="more than 50 bytes"):
        project.bring()


def test_a_listed_file_that_the_package_has_not_is_named(project):
    project.pin("a", "1.2.3", FILES, "LICENSE", "dist/b.js")
    with pytest.raises(project.assets.AssetError, match="a 1.2.3 has no dist/b.js"):
        project.bring()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dependencies": {"a": "1"}, "assets": {}}'])
def test_a_package_json_without_pins_is_named(project, text):
    project.pins.write_text(text)
    with pytest.raises(project.assets.AssetError, match="package.json does not pin assets"):
        project.bring()


def test_as_a_command_it_ends_with_one_line_that_says_what_is_wrong(project):
    project.pin("a", "1.2.3", FILES, "LICENSE")
    project.registry.answers.clear()
    command = [sys.executable, TOOL, "--pins", project.pins, "--to", project.vendor]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == f"Fetching a 1.2.3 from {project.registry.url}/\n"
    assert re.fullmatch(r"assets.py: a 1.2.3 cannot be fetched from .*404.*\n", done.stderr)


def test_the_example_site_pins_exact_releases_with_their_licences(assets):
    pinned = assets.pinned(ROOT / "workers" / "package.json")
    assert {"chart.js", "htmx.org"} <= {asset.name for asset in pinned}
    for asset in pinned:
        assert re.fullmatch(r"\d+\.\d+\.\d+", asset.version)
        assert len(base64.b64decode(asset.integrity.removeprefix("sha512-"))) == 64
        assert any("LICENSE" in file for file in asset.files)
