"""Requirements of pip: what Channels 1 came in, and what it comes in now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from channels_classic.migrate.findings import Edit, Note, Rewritten, apply, words

_FILE = re.compile(r"(?:[\w.]+[-_])?(?:requirements|reqs)[^/]*\.(?:txt|in|pip)", re.IGNORECASE)
_LINE = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]*)[ \t]*(?:\[(?P<extras>[^\]\n]*)\])?[ \t]*"
    r"(?P<version>(?:[=<>!~][^;#\n\r]*?)?)(?P<rest>[ \t]*(?:;[^#\r\n]*?)?(?:[ \t]+#[^\r\n]*)?)"
    r"(?=\r?$)",
    re.MULTILINE,
)
_NEW = "channels-classic"
#: The first version that is not of the time of Channels 1.
_NEXT = {"channels": 2, "daphne": 2, "asgiref": 2, "asgi-redis": 2, "asgi-ipc": 2}
#: What these were installed for, as an extra of ours.
_EXTRAS = {"asgi-ipc": "local"}
_OLD_EXTRAS = {"cryptography": "encryption"}

_PINNED_TEXT = "pin the version that you have tested with, as this line did before"
_HASHES_TEXT = "a requirement with hashes or over several lines: replace it by channels-classic"
_MODERN_TEXT = "this is of Channels 2+: it is left as it is"
_VERSIONS_TEXT = "channels-classic needs Django 5.2 or newer, and redis 8 or newer"
_UNUSED_TEXT = "{name} was needed by the packages of Channels 1 alone: remove it if you can"
_UNUSED = words("txredisapi posix-ipc msgpack-python autobahn twisted asgi-rabbitmq")


class Requirement(NamedTuple):
    """One plain line."""

    line: int
    start: int
    end: int
    name: str  #: lower case, with hyphens
    extras: frozenset[str]
    version: str
    rest: str


def is_requirements(path: Path) -> bool:
    """Whether ``path`` is a list of requirements, by its name."""
    in_folder = path.parent.name.startswith("requirements") and path.suffix in (".txt", ".in")
    return in_folder or _FILE.fullmatch(path.name) is not None


def rewrite(data: bytes, *, modern: bool) -> Rewritten:
    """All for Channels 1 becomes one line; nothing changes if the project is ``modern``."""
    text = data.decode("utf-8", "surrogateescape")
    found = list(_requirements(text))
    notes = [note for each in found for note in _notes(each)]
    modern = modern or any(each.name == "channels-redis" for each in found)
    old = [each for each in found if _is_old(each)]
    if any(re.search(r"\\|--", each.version + each.rest) for each in old):
        return Rewritten(data, notes=[*notes, Note(old[0].line, _HASHES_TEXT)])
    if modern or not old:
        return Rewritten(data, notes=notes)
    edits, more = _edits(text, old)
    new, changes = apply(data, edits)
    return Rewritten(new, changes, [*notes, *more])


def is_outdated(text: str) -> bool:
    """Whether ``text`` is one requirement, of a package of Channels 1."""
    found = list(_requirements(text))
    return "\n" not in text and len(found) == 1 and _is_old(found[0])


def _edits(text: str, old: list[Requirement]) -> tuple[list[Edit], list[Note]]:
    """One line in the place of the first; the others go, with their line ends."""
    lasting = [each for each in old if each.name != "asgiref"]
    first = next(iter(sorted(lasting, key=lambda each: each.name != "channels")), None)
    edits = [_edit(text, each.start, _after(text, each), "") for each in old if each != first]
    if first is None:
        return edits, []
    extras = sorted(
        {_EXTRAS[each.name] for each in old if each.name in _EXTRAS}
        | {_OLD_EXTRAS[extra] for each in old for extra in each.extras if extra in _OLD_EXTRAS}
    )
    new = _NEW + (f"[{','.join(extras)}]" if extras else "") + first.rest
    notes = [Note(first.line, _PINNED_TEXT)] if first.version else []
    return [*edits, _edit(text, first.start, first.end, new)], notes


def _edit(text: str, start: int, end: int, new: str) -> Edit:
    """An edit in bytes, from places in ``text``."""
    before, old, after = (
        each.encode("utf-8", "surrogateescape") for each in (text[:start], text[start:end], new)
    )
    return Edit(len(before), len(before) + len(old), after)


def _after(text: str, requirement: Requirement) -> int:
    match = re.compile(r"\r?\n?").match(text, requirement.end)
    return match.end() if match else requirement.end


def _requirements(text: str) -> Iterator[Requirement]:
    for match in _LINE.finditer(text):
        yield Requirement(
            line=text.count("\n", 0, match.start()) + 1,
            start=match.start(),
            end=match.end(),
            name=re.sub(r"[-_.]+", "-", match["name"]).lower(),
            extras=frozenset(re.split(r"[\s,]+", match["extras"] or "")),
            version=match["version"].strip(),
            rest=match["rest"],
        )


def _is_old(each: Requirement) -> bool:
    """Of Channels 1, by its version; without one too, save asgiref, which Django needs."""
    if each.name not in _NEXT or (each.name == "asgiref" and not each.version):
        return False
    return not _is_next(each)


def _is_next(each: Requirement) -> bool:
    """Whether the versions begin after those of Channels 1."""
    lowest = re.search(r"(?:===?|>=?|~=)\s*v?(\d+)", each.version)
    return lowest is not None and int(lowest[1]) >= _NEXT[each.name]


def _notes(each: Requirement) -> Iterator[Note]:
    if each.name in ("channels", "daphne") and _is_next(each):
        yield Note(each.line, _MODERN_TEXT)
    if each.name.startswith("channels-") and each.name in ("channels-redis", "channels-rabbitmq"):
        yield Note(each.line, _MODERN_TEXT)
    if each.name in _UNUSED:
        yield Note(each.line, _UNUSED_TEXT.format(name=each.name))
    major = re.match(r"(?:===?|~=|<=?)\s*(\d+)", each.version)
    if major and int(major[1]) < {"django": 5, "redis": 8}.get(each.name, 0):
        yield Note(each.line, _VERSIONS_TEXT)
