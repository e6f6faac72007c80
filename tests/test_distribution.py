"""What pip gets: an sdist and a wheel that hold every file, and a readme that renders."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import docutils.core
import pytest
from docutils.writers import null

import channels_classic

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "channels_classic"
PAGES = sorted([*ROOT.glob("*.rst"), *ROOT.glob("deploy/*.rst")])  # Sphinx sees to docs/
NOT_SHIPPED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "var", "media", "*.sqlite3*"
)


def shipped_files() -> set[str]:
    """Every file of the package that is not a leftover of running it."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both, the wheel made from the sdist, as a release does it."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, source, ignore=NOT_SHIPPED)
    command = [sys.executable, "-m", "build", "--no-isolation", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def test_the_wheel_holds_every_file_of_the_package(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert shipped_files() <= names
    folder = f"channels_classic-{channels_classic.__version__}.dist-info"
    others = {name for name in names if not name.startswith(("channels_classic/", folder))}
    assert not others
    assert f"{folder}/licenses/LICENSE" in names


def test_the_sdist_holds_what_a_developer_needs_too(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert shipped_files() <= names
    assert {
        "LICENSE",
        "Makefile",
        "deploy/supervisor/supervisord.conf",
        "tests/test_distribution.py",
        "tools/assets.py",
        "tools/find-python",
        "workers/manage.py",
        "workers/package.json",
    } <= names
    assert not [name for name in names if name.startswith("workers/static/vendor/")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_renders_without_a_warning(page: Path) -> None:
    docutils.core.publish_string(
        page.read_text(encoding="utf-8"),
        writer=null.Writer(),
        settings_overrides={"halt_level": 2, "report_level": 2},
    )
