"""Files that are not Python: templates, scripts, requirements, and how processes are started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from channels_classic.migrate.advice import PACKAGE_TEXT
from channels_classic.migrate.commands import replacement
from channels_classic.migrate.findings import Edit, Note, Rewritten, apply, line_at, words
from channels_classic.migrate.names import BACKENDS, BRIDGE
from channels_classic.migrate.requirements import is_requirements
from channels_classic.migrate.requirements import rewrite as rewrite_requirements

#: What a template or a script may end in.
_PAGES = words(
    ".html .htm .xhtml .txt .xml .svg .md .rst .jinja .jinja2 .j2 .js .mjs .jsx .ts .tsx .vue "
    ".coffee .haml .pug"
)
#: What starts processes, or says what is installed, by its suffix or its name.
_SETTINGS = words(
    ".conf .ini .cfg .toml .yml .yaml .service .config .sh .bash .env .upstart .xml .json"
)
_NAMES = re.compile(
    r"(Procfile|Dockerfile|Makefile|Pipfile|Vagrantfile|honcho|\.env|run|start)([.\-_].*)?"
)
_WORTH_IT = re.compile(rb"channels|asgi|daphne|session_key")
_PACKAGE = re.compile(
    rb"""(?<![\w./-])["']?(?:asgi[-_](?:redis|ipc|rabbitmq)|channels|daphne)["']?(?:\[[^\]]*\])?"""
    rb"""\s*[=<>~!][=<>~!^"'{\s]*(?:version\s*=[^\d*]*)?(?:[01]\.|[01]\b|\*)"""
)
_SESSION_KEY = re.compile(rb"[?&]session_key=")
_NPM = re.compile(rb"""["']django-channels["']""")

SESSION_KEY_TEXT = (
    "session_key in the URL of a socket is refused, for URLs end up in logs: let the cookie carry "
    'the session, or set CHANNELS_CLASSIC = {"SESSION_KEY_IN_URL": True}'
)
NPM_TEXT = (
    "the npm package django-channels: the script is "
    "{% static 'channels_classic/websocketbridge.js' %} now, with channels.WebSocketBridge"
)
COMMAND_TEXT = "instead of daphne: {command}"


def is_text(path: Path) -> bool:
    """Whether it may name what this command knows."""
    return (
        path.suffix.lower() in _PAGES | _SETTINGS
        or is_requirements(path)
        or _NAMES.fullmatch(path.name) is not None
    )


def rewrite(path: Path, data: bytes, *, modern: bool) -> Rewritten:
    """The file ``path``; of a ``modern`` project the requirements stay."""
    if is_requirements(path):
        return rewrite_requirements(data, modern=modern)
    old, new = (text.encode() for text in BRIDGE)
    edits = [Edit(m.start(), m.end(), new) for m in re.finditer(re.escape(old), data)]
    data, changes = apply(data, edits)
    return Rewritten(data, changes, sorted(_notes(path, data)))


def _notes(path: Path, data: bytes) -> Iterator[Note]:
    if not _WORTH_IT.search(data):
        return
    for pattern, text in ((_SESSION_KEY, SESSION_KEY_TEXT), (_NPM, NPM_TEXT)):
        for match in pattern.finditer(data):
            yield Note(line_at(data, match.start()), text)
    if path.suffix.lower() in _PAGES:
        return
    if path.suffix.lower() in _PAGES:
        return
    for number, line in enumerate(data.splitlines(), 1):
        yield from (Note(number, text) for text in _about(line))


def _about(line: bytes) -> Iterator[str]:
    if b"daphne" in line and (command := replacement(line.decode("utf-8", "replace"))):
        yield COMMAND_TEXT.format(command=command)
    elif _PACKAGE.search(line):
        yield PACKAGE_TEXT
    for old, new in BACKENDS.items():
        if re.search(rb"(?<![\w.])" + re.escape(old).encode() + rb"(?![\w.])", line):
            yield f"instead of {old}: {new}"
