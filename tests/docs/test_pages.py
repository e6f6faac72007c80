"""Every block of code in docs/ and in README.rst runs, or is read by what would read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import blocks, built
from tests.docs.blocks import Block
from tests.docs.sandbox import DRIVEN, SETTINGS, Sandbox

#: The wire format has tests of its own, beside this file.
PAGES = sorted(path.stem for path in built.DOCS.glob("*.rst") if path.stem != "wire")


#: Some pages start processes and run whole test suites.
pytestmark = pytest.mark.timeout(400)


def run(found: list[Block], page: str, folder: Path) -> None:
    project = Sandbox(folder / "site")
    project.run_page(found, page)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_the_page_runs(page: str, tmp_path: Path) -> None:
    found = blocks.of(page, built.doctree(page))
    run(found, page, tmp_path)


def test_every_block_of_the_readme_runs(tmp_path: Path) -> None:
    found = blocks.of_readme()
    assert {"python", "console"} <= {block.language for block in found}
    run(found, "README", tmp_path)


def test_what_is_done_with_a_page_beyond_its_blocks_is_for_a_page_that_is_there() -> None:
    names = {page.replace("-", "_") for page in PAGES}
    assert {path.stem for path in DRIVEN.glob("*.py")} <= {*names, "__init__"}


# The tests of the test ----------------------------------------------------------------------


def block(language: str, text: str, file: str = "") -> Block:
    return Block("page", 1, language, text, file)


WRONG = {
    "an unknown kind": (block("perl", "print 1"), "no test for 'perl'"),
    "no kind at all": (block("", "x = 1"), "no test for ''"),
    "an error": (block("python", "1 / 0\n"), "ZeroDivisionError"),
    "another answer": (block("pycon", ">>> 1 + 1\n3\n"), r"Expected:\s+3\s+Got:\s+2"),
    "an option that is not there": (
        block("console", "$ channels-classic server a:b --speed 9\n"),
        "No such option.*--speed",
    ),
    "a command that is not there": (
        block("console", "$ python manage.py runserve\n"),
        "no command 'runserve'",
    ),
    "no Python of others": (block("python elsewhere", "class = 1\n"), "invalid syntax"),
    "a program of others": (block("console", "$ daphne project.asgi:application\n"), "daphne"),
    "an extra that is not there": (
        block("console", "$ pip install channels-classic[magic]\n"),
        r"channels-classic\[magic\]",
    ),
    "another output": (
        block("console", "$ channels-classic --version\nchannels-classic, version 1.1.8\n"),
        "shown:\nchannels-classic, version 1.1.8",
    ),
    "no JavaScript": (block("javascript", "const = 1"), "SyntaxError"),
    "no JavaScript in a page": (block("html", "<script>const = 1</script>"), "SyntaxError"),
    "a setting that is wrong": (
        block("python", 'CHANNEL_LAYERS["default"]["CONFIG"] = {"speed": 9}\n', SETTINGS),
        "channels_classic.E006",
    ),
    "a route that is wrong": (
        block(
            "python",
            'from channels_classic import route\nchannel_routing = [route("a", "project.b.c")]\n',
            "project/routing.py",
        ),
        "channels_classic.E008|channels_classic.E010",
    ),
    "an option in a unit": (
        block("ini", "[Service]\nExecStart=/bin/python manage.py runworker -x\n"),
        "unrecognized arguments: -x",
    ),
    "a configuration that cannot be read": (
        block("yaml", "scrape_configs:\n - job_name: a\n   - b\n"),
        "line 2, column 4",
    ),
    "a test that fails": (
        block("python", "raise RuntimeError('it fails')\n", "project/tests.py"),
        "it fails",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_page_with_a_mistake_fails(name: str, tmp_path: Path) -> None:
    wrong, problem = WRONG[name]
    with pytest.raises(AssertionError, match=f"(?s){problem}"):
        run([wrong], "page", tmp_path)
