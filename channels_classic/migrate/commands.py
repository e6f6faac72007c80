"""Command lines that start daphne: the same in ``channels-classic server``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from channels_classic.migrate.findings import words

_DAPHNE = re.compile(r"(?<![\w.@:-])(?P<folder>[\w./${}~()%-]*/)?daphne[ \t]+(?=[^\s=<>!~])")
_EXEC = re.compile(r"\[\s*([\"'])(?:[^\"']*/)?daphne\1\s*,.*?\]")
_APPLICATION = re.compile(r"[A-Za-z_./][\w./-]*:[A-Za-z_][\w.]*")
_END = re.compile(r"[|;&>]|\d>")

_SAME = words(
    "-p --port -b --bind -u --unix-socket --fd -t --http-timeout --ping-interval --ping-timeout "
    "--root-path --access-log -v --verbosity"
)
_RENAMED = {
    "--websocket_timeout": "--websocket-timeout",
    "--websocket_connect_timeout": "--websocket-connect-timeout",
}
PROXY_TEXT = "PEERS of --proxy-headers are the addresses of the proxies to believe"


def replacement(line: str) -> str | None:
    """What to write instead of the daphne of ``line``, with what to know; None without one."""
    if match := _EXEC.search(line):
        return _of_exec(match[0])
    match = _DAPHNE.search(line)
    if match is None:
        return None
    given = _arguments(line[match.end() :])
    if not any(_APPLICATION.fullmatch(word) for word in given):
        return None
    new, notes = _translate(given)
    return _said(f"{match['folder'] or ''}channels-classic {' '.join(new)}", notes)


def _of_exec(text: str) -> str | None:
    """The form of a Dockerfile's CMD."""
    try:
        program, *given = json.loads(text.replace("'", '"'))
    except ValueError:
        return None
    new, notes = _translate([str(word) for word in given])
    program = f"{program.removesuffix('daphne')}channels-classic"
    return _said(json.dumps([program, *new], ensure_ascii=False), notes)


def _said(command: str, notes: list[str]) -> str:
    return "; ".join([command, *notes])


def _arguments(text: str) -> list[str]:
    """The words of the command, up to what the shell does with it."""
    given: list[str] = []
    for word in text.split():
        if _END.match(word) or word == "\\":
            break
        end = word[-1]
        is_open = end in "\"'`" and word.count(end) == 1  # it began before the command
        given.append(word[:-1] if is_open else word)
    return given


def _translate(given: list[str]) -> tuple[list[str], list[str]]:
    """The arguments of the new command, and what to know about them."""
    new, notes = ["server"], list[str]()
    rest = iter(given)
    for word in rest:
        option, equals, value = word.partition("=")
        if option in _RENAMED:
            new.append(_RENAMED[option] + equals + value)
        elif option in ("-e", "--endpoint"):
            new += _endpoint((value if equals else next(rest, "")).strip("\"'"), notes)
        elif option == "--proxy-headers":
            new += ["--proxy-headers", "PEERS"]
            notes.append(PROXY_TEXT)
        elif option == "--force-sync":
            notes.append("--force-sync has nothing to say any more")
        elif option == "--ws-protocol" and not equals:
            new += _protocols(rest)
        elif option.startswith("-") and option not in _SAME and not re.match(r"-[pbutv].", option):
            new.append(word)
            notes.append(f"{option} is unknown: see channels-classic server --help")
        else:
            new.append(word)
    return new, notes


def _protocols(rest: Iterator[str]) -> Iterator[str]:
    """One option took several names; now each has its own. The application ends them."""
    for word in rest:
        if word.startswith("-") or _APPLICATION.fullmatch(word):
            yield word
            return
        yield from ("--ws-protocol", word)


def _endpoint(text: str, notes: list[str]) -> list[str]:
    """The options for an endpoint of Twisted's, which daphne took."""
    kind, *fields = re.split(r"(?<!\\):", text)
    named = dict(field.partition("=")[::2] for field in fields if "=" in field)
    plain = [field for field in fields if "=" not in field]
    port = named.get("port") or (plain[0] if plain else "")
    if kind in ("tcp", "ssl") and port:
        new = ["-p", port]
        for field, option in (
            ("interface", "-b"),
            ("certKey", "--ssl-certfile"),
            ("privateKey", "--ssl-keyfile"),
        ):
            new += [option, named[field].replace("\\:", ":")] if field in named else []
        return new
    if kind == "unix" and plain:
        return ["-u", plain[0]]
    if kind == "fd" and "fileno" in named:
        return ["--fd", named["fileno"]]
    notes.append(f"the endpoint {text!r} has no option: see channels-classic server --help")
    return []
