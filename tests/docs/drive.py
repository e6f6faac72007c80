"""A program: runs the blocks of a page in the project that it is started in, one after another."""

from __future__ import annotations

import doctest
import json
import sys
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def main() -> None:
    """One namespace for all of the page, and at the end for what the tests do with it."""
    plan = json.loads(Path("plan.json").read_text())
    django.setup()
    call_command("migrate", verbosity=0, run_syncdb=True)
    namespace: dict[str, Any] = {"__name__": "docs"}
    for language, place, text in plan["steps"]:
        if language == "pycon" or text.lstrip().startswith(">>> "):
            talk(text, place, namespace)
        else:
            exec(compile(text, place, "exec"), namespace)
    driven = Path(plan["driven"])
    if driven.exists():
        exec(compile(driven.read_text(), driven, "exec"), namespace)


def talk(text: str, place: str, namespace: dict[str, Any]) -> None:
    """A conversation with Python; it ends with an error when Python says something else."""
    test = doctest.DocTestParser().get_doctest(text, namespace, place, place, 0)
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, clear_globs=False)
    namespace.update(test.globs)
    if result.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
