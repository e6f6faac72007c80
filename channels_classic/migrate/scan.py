"""A module as advice sees it: parsed by ``ast``, with its imports by name."""

from __future__ import annotations

import ast
import warnings
from functools import cached_property
from pathlib import Path


class Module:
    """The module at ``path``; ``name`` is its dotted name as far as its folders tell."""

    def __init__(self, path: Path, tree: ast.Module, name: str) -> None:
        self.path = path
        self.tree = tree
        self.name = name

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for, as a dotted path from the root."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    found[alias.asname or root] = alias.name if alias.asname else root
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{base}.{alias.name}".lstrip(".")
        return found

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = self.path.name == "__init__.py"
        parts = self.name.split(".")
        kept = parts[: len(parts) - node.level + is_package]
        return ".".join([*kept, *([node.module] if node.module else [])])

    def path_of(self, node: ast.AST | None) -> str:
        """The dotted path of a name; ``channels.…`` for both Channels 1 and channels_classic."""
        path = dotted(node)
        first, dot, rest = path.partition(".")
        path = self.names.get(first, f"{self.name}.{first}" if first else "") + dot + rest
        first, dot, rest = path.partition(".")
        return f"channels{dot}{rest}" if first == "channels_classic" else path


def parse(source: str | bytes) -> ast.Module:
    """``ast.parse`` without the warnings that are about the style of old code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def dotted(node: ast.AST | None) -> str:
    """``a.b.c`` for such an expression, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def constant(node: ast.AST | None) -> object:
    """The value of a literal, else None."""
    return node.value if isinstance(node, ast.Constant) else None


def pairs(tree: ast.AST) -> list[tuple[object, ast.expr]]:
    """Each key that is a literal, with its value, of all dicts in ``tree``."""
    return [
        (constant(key), value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
    ]
