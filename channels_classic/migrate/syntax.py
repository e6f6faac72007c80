"""A module parsed by libcst: its nodes' places, scopes and surroundings."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
from libcst.metadata import (
    ByteSpanPositionProvider,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    Scope,
    ScopeProvider,
)

from channels_classic.migrate.findings import Edit, Note, line_at


class Syntax:
    """The syntax tree of ``text``; ``ValueError`` if libcst cannot give it back as it is."""

    def __init__(self, text: str) -> None:
        try:
            module = cst.parse_module(text)
        except cst.ParserSyntaxError as error:
            raise ValueError(f"libcst does not understand it: {error.message}") from error
        if module.code != text:
            raise ValueError("libcst does not keep its formatting")
        self.data = text.encode()
        self._wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self._spans = self._wrapper.resolve(ByteSpanPositionProvider)
        self._scopes = self._wrapper.resolve(ScopeProvider)
        self._parents = self._wrapper.resolve(ParentNodeProvider)

    def visit(self, visitor: cst.CSTVisitor) -> None:
        """Walk ``visitor`` over the module."""
        self._wrapper.module.visit(visitor)

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """From where to where ``node`` is, in bytes."""
        span = self._spans[node]
        return span.start, span.start + span.length

    def replace(self, node: cst.CSTNode, new: str) -> Edit:
        """The edit that puts ``new`` in the place of ``node``."""
        return Edit(*self.span(node), new.encode())

    def note(self, node: cst.CSTNode, text: str) -> Note:
        """A note about the line where ``node`` begins."""
        return Note(line_at(self.data, self.span(node)[0]), text)

    def around(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
        """Each node around ``node`` within its statement, after the child that leads to it."""
        while (parent := self._parents.get(node)) is not None:
            yield node, parent
            if isinstance(parent, cst.BaseStatement):
                return
            node = parent

    def imports(self, node: cst.CSTNode, name: str) -> tuple[bool, bool]:
        """Whether ``name``, as seen from ``node``, is bound by ``import name``; and otherwise."""
        scope: Scope | None = self._scopes.get(node)
        assignments = scope[name] if scope is not None else ()
        plain = [
            isinstance(each, ImportAssignment) and _is_plain(each.node, name)
            for each in assignments
        ]
        return any(plain), not all(plain)


def _is_plain(node: cst.CSTNode, name: str) -> bool:
    """``import a`` and ``import a.b``, which bind ``a`` itself."""
    return isinstance(node, cst.Import) and any(
        alias.asname is None and dotted(alias.name).partition(".")[0] == name
        for alias in node.names
    )


def dotted(node: cst.CSTNode | None) -> str:
    """``a.b.c`` for such an expression, else nothing."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr.value}"
    return ""


def text_of(node: cst.CSTNode | None) -> str | None:
    """The value of a plain literal of text, else None."""
    if not isinstance(node, cst.SimpleString) or "b" in node.prefix.lower():
        return None
    value = node.evaluated_value
    return value if isinstance(value, str) else None
