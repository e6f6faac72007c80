"""Imports of Channels 1, and the uses of what a plain ``import channels`` binds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import libcst as cst

from channels_classic.migrate.findings import Edit, Note
from channels_classic.migrate.names import MODERN_TEXT, ROOTS, Found, Kind, look_up
from channels_classic.migrate.syntax import Syntax, dotted

_REBOUND = (
    "`{root}` also names something else here: import what is used of channels_classic by hand"
)


class Imports(cst.CSTVisitor):
    """Collects the edits of imports and uses; ``finish`` after the walk."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self.edits: list[Edit] = []
        self.notes: list[Note] = []
        self.modern = False
        #: `import root…` without `as`, and the uses of its name, by root.
        self._plain: dict[str, list[cst.ImportAlias]] = defaultdict(list)
        self._uses: dict[str, list[cst.BaseExpression]] = defaultdict(list)
        self._rebound: set[str] = set()
        self._keyword: cst.Name | None = None

    # from … import … ------------------------------------------------------------------------

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        """Rewritten as a whole, or not at all."""
        module = dotted(node.module)
        if node.relative or module.partition(".")[0] not in ROOTS:
            return False
        if isinstance(node.names, cst.ImportStar):
            if self._accepts(node, look_up(module)):
                self._replace(node.module, look_up(module).new)
            return False
        aliases = node.names
        found = [look_up(f"{module}.{dotted(alias.name)}") for alias in aliases]
        if self._accepts_all((node, each) for each in found):
            self._move(node, aliases, [each.new for each in found])
        return False

    def _move(
        self, node: cst.ImportFrom, aliases: Sequence[cst.ImportAlias], paths: list[str]
    ) -> None:
        modules = {path.rpartition(".")[0] for path in paths}
        if len(modules) > 1:
            self._note(node, f"these names are in several places now: {', '.join(paths)}")
            return
        self._replace(node.module, modules.pop())
        for alias, path in zip(aliases, paths, strict=True):
            old, new = dotted(alias.name), path.rpartition(".")[2]
            if new != old:
                self._replace(alias.name, new if alias.asname else f"{new} as {old}")

    # import … -------------------------------------------------------------------------------

    def visit_Import(self, node: cst.Import) -> bool:
        """Those with ``as`` at once, the others with the uses of what they bind."""
        for alias in node.names:
            module = dotted(alias.name)
            root = module.partition(".")[0]
            if root not in ROOTS or look_up(module).kind is Kind.OTHER:
                continue
            if alias.asname is None:
                self._plain[root].append(alias)
            elif self._accepts(alias, look_up(module)):
                self._replace(alias.name, look_up(module).new)
        return False

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        """A chain of names is one use; in others the attribute is no name of this module's."""
        if path := dotted(node):
            self._use(node, path.partition(".")[0])
        else:
            node.value.visit(self)
        return False

    def visit_Arg_keyword(self, node: cst.Arg) -> None:
        """The name of an argument is no use."""
        self._keyword = node.keyword

    def visit_Name(self, node: cst.Name) -> None:
        """The module itself, as a value."""
        if node is not self._keyword:
            self._use(node, node.value)

    def _use(self, node: cst.BaseExpression, root: str) -> None:
        if root not in ROOTS:
            return
        plain, otherwise = self._syntax.imports(node, root)
        if plain and otherwise:
            self._rebound.add(root)
        elif plain:
            self._uses[root].append(node)

    def finish(self) -> None:
        """Rewrite the plain imports, each root with all of its uses or not at all."""
        for root, aliases in self._plain.items():
            if root in self._rebound or any(self._syntax.imports(a, root)[1] for a in aliases):
                self._finish_rebound(root, aliases)
            else:
                self._finish_root(aliases, self._uses[root])

    def _finish_rebound(self, root: str, aliases: list[cst.ImportAlias]) -> None:
        """``channels = None`` where the import fails: the name stays."""
        for alias in aliases:
            if dotted(alias.name) == "channels":
                self._replace(alias.name, "channels_classic as channels")
            else:
                self._note(alias, _REBOUND.format(root=root))

    def _finish_root(self, aliases: list[cst.ImportAlias], uses: list[cst.BaseExpression]) -> None:
        found = [(use, look_up(dotted(use))) for use in uses]
        found = [(use, each) for use, each in found if each.kind is not Kind.OTHER]
        modules = {each.new.rpartition(".")[0] for _, each in found}
        for alias in aliases:
            module = look_up(dotted(alias.name))
            if dotted(alias.name).startswith("asgi") and len(modules) == 1:
                module = Found(Kind.CLASSIC, next(iter(modules)))  # where its classes have gone
            found.append((alias.name, module))
        if self._accepts_all(found):
            for node, each in found:
                self._replace(node, each.new)

    # What they have in common ---------------------------------------------------------------

    def _accepts_all(self, found: Iterable[tuple[cst.CSTNode, Found]]) -> bool:
        accepted = [self._accepts(node, each) for node, each in found]  # all have their notes
        return all(accepted)

    def _accepts(self, node: cst.CSTNode, found: Found) -> bool:
        """Whether it has a new name; what there is to say is noted."""
        if found.kind is Kind.MODERN:
            self.modern = True
            self._note(node, MODERN_TEXT)
        elif found.note:
            self._note(node, found.note)
        return found.kind is Kind.CLASSIC

    def _replace(self, node: cst.CSTNode | None, new: str) -> None:
        """Only the parts that differ, where each part has one in its place."""
        base, _, last = new.rpartition(".")
        if isinstance(node, cst.Attribute) and new.count(".") == dotted(node).count("."):
            self._replace(node.value, base)
            self._replace(node.attr, last)
        elif node is not None and dotted(node) != new:
            self.edits.append(self._syntax.replace(node, new))

    def _note(self, node: cst.CSTNode, text: str) -> None:
        self.notes.append(self._syntax.note(node, text))
