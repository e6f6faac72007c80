"""What is typed into a terminal on a page, and what it shows."""

from __future__ import annotations

import doctest

PROMPT = "$ "


def session(text: str) -> list[tuple[str, str]]:
    """Each command with the output that is shown, which may be none."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith(PROMPT):
            found.append((line.removeprefix(PROMPT), ""))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0][:-1] + line.strip(), "")
        else:
            assert found, f"a session begins with {PROMPT!r}, not with {line!r}"
            command, output = found[-1]
            found[-1] = (command, f"{output}{line}\n")
    return [(command, output if output.strip() else "") for command, output in found]


def expect(shown: str, output: str) -> None:
    """Raise unless the output is the one shown, in which ``...`` stands for anything."""
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert checker.check_output(shown, output, flags), f"shown:\n{shown}\nreal:\n{output}"
