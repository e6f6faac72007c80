"""The command: what it writes, what it leaves alone, and with which status it ends."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from channels_classic.migrate import files
from tests.migrate.project_2017 import FILES

COMMAND = Path(sys.executable).with_name("channels-classic")
OLD, NEW = "from channels import Group\n", "from channels_classic import Group\n"
PYTHON_2 = FILES["legacy/old.py"]


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


# Writing ----------------------------------------------------------------------------------------


def test_each_change_is_printed_with_its_file_and_line(tree, run):
    root = tree({"chat/consumers.py": f"\n{OLD}"})
    result = run()
    assert result.exit_code == 0
    assert "chat/consumers.py\n  2: channels -> channels_classic\n" in result.output
    assert "1 file changed, in 1 place." in result.output
    assert (root / "chat/consumers.py").read_text() == f"\n{NEW}"


def test_a_second_run_changes_nothing(tree, run):
    root = tree(FILES)
    run()
    first = contents(root)
    result = run()
    assert "Nothing to change." in result.output
    assert contents(root) == first
    assert run("--check").exit_code == 3  # for the file in Python 2 alone


@pytest.mark.parametrize("option", ["--check", "--diff"])
def test_check_and_diff_write_nothing(tree, run, option):
    root = tree(FILES)
    before = contents(root)
    run(option)
    assert contents(root) == before


def test_check_has_status_1_when_something_would_change(tree, run):
    tree({"a.py": OLD})
    result = run("--check")
    assert result.exit_code == 1
    assert "1 file would change, in 1 place." in result.output


def test_check_has_status_0_when_nothing_would(tree, run):
    tree({"a.py": NEW, "b.py": "channels = 1\n"})
    assert run("--check").exit_code == 0


def test_the_diff_is_alone_on_standard_output(tree, run):
    tree({"a.py": f"import os\n{OLD}"})
    result = run("--diff")
    assert result.exit_code == 0
    assert result.stdout == f"--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n import os\n-{OLD}+{NEW}"
    assert "would change" in result.stderr


def test_the_diff_can_be_applied(tree, run):
    root = tree(FILES)
    diff = run("--diff").stdout_bytes
    run()
    expected = contents(root)
    tree(FILES)
    subprocess.run(["git", "apply", "-p0"], input=diff, cwd=root, check=True, capture_output=True)
    assert contents(root) == expected


def test_a_single_file_can_be_given(tree, run):
    root = tree({"a.py": OLD, "b.py": OLD})
    assert run(path="a.py").exit_code == 0
    assert ((root / "a.py").read_text(), (root / "b.py").read_text()) == (NEW, OLD)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OLD.encode().replace(b"\n", b"\r\n"), NEW.encode().replace(b"\n", b"\r\n")),
        (b"\xef\xbb\xbf" + OLD.encode(), b"\xef\xbb\xbf" + NEW.encode()),
        (
            b"# coding: latin-1\n# \xe9\n" + OLD.encode(),
            b"# coding: latin-1\n# \xe9\n" + NEW.encode(),
        ),
        ("x = 'é€😀'; ".encode() + OLD.encode(), "x = 'é€😀'; ".encode() + NEW.encode()),
        (b"if 1:\r\n\t" + OLD.encode() + b"\x0c\n", b"if 1:\r\n\t" + NEW.encode() + b"\x0c\n"),
        (OLD.encode().rstrip(), NEW.encode().rstrip()),
        (b"x = '\\d'\n" + OLD.encode(), b"x = '\\d'\n" + NEW.encode()),
    ],
    ids=["CRLF", "BOM", "latin-1", "wide", "tabs and mixed line ends", "no line end", "escapes"],
)
def test_all_else_in_a_file_stays(tree, run, before, after):
    root = tree({"a.py": before})
    assert run().exit_code == 0
    assert (root / "a.py").read_bytes() == after


def test_the_mode_of_a_file_stays(tree, run):
    root = tree({"a.py": OLD})
    (root / "a.py").chmod(0o751)
    run()
    assert stat.S_IMODE((root / "a.py").stat().st_mode) == 0o751


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tree, monkeypatch):
    root = tree({"a.py": OLD})

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        files.write(root / "a.py", NEW.encode())
    assert contents(root) == {"a.py": OLD.encode()}


def test_a_file_that_cannot_be_written_is_said_and_the_others_go_on(tree, run, monkeypatch):
    root = tree({"a.py": OLD, "b.py": OLD})
    write = files.write

    def denied(path, data):
        if path.name == "a.py":
            raise PermissionError(13, "Permission denied")
        write(path, data)

    monkeypatch.setattr(files, "write", denied)
    result = run()
    assert result.exit_code == 3
    assert "cannot be written: Permission denied\n    a.py" in result.output
    assert (root / "b.py").read_text() == NEW


# Left alone -------------------------------------------------------------------------------------


def test_python_2_is_left_alone_with_its_line_and_the_others_go_on(tree, run):
    root = tree({"a.py": PYTHON_2, "b.py": OLD, "c.py": "x = u'\n", "d.py": b"# \xff\n"})
    result = run()
    assert result.exit_code == 3
    for text in ("Missing parentheses", "a.py:2", "c.py:1", "d.py"):
        assert text in result.output
    assert (root / "a.py").read_text() == PYTHON_2
    assert (root / "b.py").read_text() == NEW


@pytest.mark.parametrize(
    "name",
    [
        ".git/hooks/a.py",
        "node_modules/x/a.py",
        "env/lib/a.py",
        "old/lib/a.py",
        "x/site-packages/channels/a.py",
        "__pycache__/a.py",
    ],
)
def test_what_the_project_has_not_written_is_not_looked_at(tree, run, name):
    root = tree({name: OLD, "env/pyvenv.cfg": "", "old/bin/activate": "", "b.py": OLD})
    run()
    assert (root / name).read_text() == OLD
    assert (root / "b.py").read_text() == NEW


def test_links_are_not_followed(tree, run):
    root = tree({"real/a.py": OLD})
    (root / "b.py").symlink_to("real/a.py")
    result = run(path="real/..")
    assert result.exit_code == 0
    assert (root / "b.py").is_symlink()
    assert "b.py" not in result.output


@pytest.mark.parametrize("local", ["channels.py", "channels/__init__.py", "channels/models.py"])
def test_a_project_with_a_module_named_channels_is_left_alone(tree, run, local):
    root = tree({local: "", "a.py": OLD, "requirements.txt": "channels==1.1.8\n"})
    before = contents(root)
    result = run()
    assert result.exit_code == 3
    assert "is a module of the project itself" in result.output
    assert contents(root) == before


def test_only_the_folder_that_has_such_a_module_is(tree, run):
    root = tree(
        {"one/manage.py": "", "one/channels/__init__.py": "", "one/a.py": OLD, "two/a.py": OLD}
    )
    assert run().exit_code == 3
    assert (root / "one/a.py").read_text() == OLD
    assert (root / "two/a.py").read_text() == NEW


def test_a_module_of_that_name_within_a_package_is_another(tree, run):
    root = tree(
        {
            "chat/__init__.py": "",
            "chat/channels.py": OLD,
            "chat/a.py": f"from .channels import x\n{OLD}",
        }
    )
    assert run().exit_code == 0
    assert (root / "chat/a.py").read_text() == f"from .channels import x\n{NEW}"


def test_the_app_and_the_requirement_of_a_project_on_channels_2_stay(tree, run):
    root = tree(
        {
            "a/settings.py": "INSTALLED_APPS = ['channels']\n",
            "b/routing.py": "from channels.routing import ProtocolTypeRouter\n",
            "requirements.txt": "channels\n",
        }
    )
    before = contents(root)
    result = run()
    assert contents(root) == before
    assert "this is Channels 2+" in result.output
    assert "a/settings.py:1" in result.output


# What a person must look at ---------------------------------------------------------------------


def test_the_same_advice_is_given_once_with_all_of_its_places(tree, run):
    tree(FILES)
    output = run().output
    assert output.count("connect consumers that do not seem to accept") == 1
    assert "chat/consumers.py:11 (ws_connect), 32 (Room.connect)" in output
    assert '{"IMPLICIT_ACCEPT": True}' in output


def test_implicit_accept_in_the_settings_ends_that_advice(tree, run):
    tree({**FILES, "shop/more.py": 'CHANNELS_CLASSIC = {"IMPLICIT_ACCEPT": True}\n'})
    assert "do not seem to accept" not in run().output


def test_advice_has_the_lines_of_the_files_as_they_are(tree, run):
    tree(FILES)
    assert "deploy/shop.service:2" in run().output
    assert "Procfile:1" in run("--check").output


# The command itself -----------------------------------------------------------------------------


def test_the_help_teaches_and_names_each_status(run):
    output = run("--help").output
    for text in ("--diff .", "--check .", "0  all", "1  with --check", "3  files", "[migrate]"):
        assert text in output


def test_a_path_that_does_not_exist_makes_no_sense(run):
    assert run(path="no/such/place").exit_code == 2


def test_the_installed_command_migrates_a_project(tree):
    root = tree(FILES)
    done = subprocess.run(
        [COMMAND, "migrate", "."], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert "shop/settings.py" in done.stdout
    assert "channels_classic" in (root / "shop/settings.py").read_text()


def without_libcst(code: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules['libcst'] = None\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_without_the_extra_it_says_what_to_install():
    done = without_libcst("from channels_classic.cli import main; main(['migrate', '.'])")
    assert done.returncode == 1
    assert done.stderr == "Error: this needs libcst: pip install 'channels-classic[migrate]'\n"


def test_all_other_commands_do_without_the_extra():
    done = without_libcst("from channels_classic.cli import main; main(['server', '--help'])")
    assert done.returncode == 0
