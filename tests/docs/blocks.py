"""The code blocks of a page: what each is in, and the file that it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.core import publish_doctree

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.rst"
DEPLOY_README = ROOT / "deploy" / "README.rst"
#: A comment that begins the part of a block which belongs into a file.
_FILE = re.compile(r"^# ((?:[\w-]+/)*[\w-]+\.py)\n", re.MULTILINE)


class Block(NamedTuple):
    """One block of code."""

    page: str
    line: int
    language: str
    text: str
    #: Its caption: the file of the project that it belongs to.
    file: str = ""

    @property
    def place(self) -> str:
        """Where it is, for errors."""
        return f"{self.page}.rst, line {self.line}"


def of(page: str, tree: nodes.document) -> list[Block]:
    """All blocks of a page that Sphinx has read, in their order."""
    found = tree.findall(lambda node: isinstance(node, (nodes.literal_block, nodes.doctest_block)))
    return [_block(page, node) for node in found]


def _block(page: str, node: nodes.Node) -> Block:
    assert isinstance(node, nodes.Element)
    language = "pycon" if isinstance(node, nodes.doctest_block) else node.get("language", "")
    if "elsewhere" in node["classes"]:  # what others have: it is shown, not run
        language = f"{language} elsewhere"
    caption = node.parent.next_node(nodes.caption) if _has_caption(node) else None
    file = caption.astext() if caption is not None else ""
    return Block(page, node.line or 0, language, node.astext() + "\n", file)


def _has_caption(node: nodes.Element) -> bool:
    return isinstance(node.parent, nodes.container) and "caption" not in node


def of_readme() -> list[Block]:
    """Those of README.rst: comments name the files there, as GitHub and PyPI show no captions."""
    return [block for node in _literal(README) for block in _parts(node)]


def of_deploy_readme() -> list[str]:
    """Their texts, in deploy/README.rst; a line that goes on in the next is one."""
    return [block.astext().replace("\\\n", "") for block in _literal(DEPLOY_README)]


def _literal(file: Path) -> Iterator[nodes.literal_block]:
    """Of a file that docutils alone can read; it raises for a mistake."""
    text = file.read_text(encoding="utf-8")
    tree = publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 2})
    return tree.findall(nodes.literal_block)


def _parts(node: nodes.literal_block) -> Iterator[Block]:
    language = next((name for name in node["classes"] if name != "code"), "console")
    text = node.astext() + "\n"
    if language == "console":
        text = "".join(f"$ {line}\n" for line in text.splitlines() if line.strip())
    before, *parts = _FILE.split(text)
    if before.strip():
        yield Block("README", node.line or 0, language, before)
    for file, part in zip(parts[::2], parts[1::2], strict=True):
        where = file if "/" in file else f"project/{file}"
        yield Block("README", node.line or 0, language, part, where)
