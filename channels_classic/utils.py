"""Small helpers that belong to no storey."""

from __future__ import annotations

import functools

#: What an application may close a WebSocket with: RFC 6455 section 7.4 and its registry,
#: less the codes that stand for "no code" (1005), "no close frame" (1006) and 1002, which is the
#: server's own word for a protocol error.
CLOSE_CODES = frozenset({1000, 1001, 1003, *range(1007, 1015), *range(3000, 5000)})


def check_close_code(code: int) -> int:
    """``code`` itself, or the ``TypeError`` or ``ValueError`` that names the allowed ones."""
    if isinstance(code, bool) or not isinstance(code, (int, float)):
        raise TypeError(f"a close code is an int, not {code!r}")
    if code not in CLOSE_CODES or not isinstance(code, int):
        raise ValueError(
            f"{code} is not a close code that an application may send: "
            "use 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999"
        )
    return code


def name_that_thing(thing: object) -> str:
    """A readable dotted name for a function, method, class or instance, for logs and errors."""
    if isinstance(thing, functools.partial):
        return name_that_thing(thing.func)
    if hasattr(thing, "__name__"):
        if hasattr(thing, "__self__") and not isinstance(thing.__self__, type(functools)):
            owner = thing.__self__ if isinstance(thing.__self__, type) else type(thing.__self__)
            return f"{name_that_thing(owner)}.{thing.__name__}"
        module = getattr(thing, "__module__", None)
        name = getattr(thing, "__qualname__", thing.__name__)
        return f"{module}.{name}" if module else str(name)
    return name_that_thing(type(thing))


def printable(text: str) -> str:
    """``text`` with what a terminal would obey written out; lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
