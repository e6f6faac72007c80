"""A Python module of Channels 1, rewritten in place: nothing else in it changes."""

from __future__ import annotations

from channels_classic.migrate.findings import Rewritten, apply
from channels_classic.migrate.imports import Imports
from channels_classic.migrate.layers import Layers
from channels_classic.migrate.strings import Strings
from channels_classic.migrate.syntax import Syntax


def rewrite(text: str, *, modern: bool = False) -> Rewritten:
    """The module ``text`` with its names of Channels 1 replaced, as UTF-8.

    In a ``modern`` project, one with names of Channels 2+, the app "channels" is not Channels 1.
    Raises ``ValueError`` for what libcst cannot read.
    """
    syntax = Syntax(text)
    imports, layers = Imports(syntax), Layers(syntax)
    syntax.visit(imports)
    imports.finish()
    syntax.visit(layers)
    strings = Strings(syntax, layers.taken, modern=modern)
    syntax.visit(strings)
    data, changes = apply(syntax.data, imports.edits + layers.edits + strings.edits)
    notes = sorted({*imports.notes, *layers.notes, *strings.notes})
    return Rewritten(data, changes, notes, imports.modern or strings.modern)
