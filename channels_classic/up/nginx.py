"""Sites of nginx for a plan: the files in this package, with the places of the plan filled in."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Plan

#: What needs no quotes there, and what is well with them.
_PLAIN = re.compile(r"[\w./:@\[\]-]+")
_QUOTED = re.compile(r"[\w./:@\[\] -]+")
_FOLDER = Path(__file__).parent / "files" / "nginx"


def files(plan: Plan) -> dict[str, str]:
    """The files, by their names: two sites of which one is to be chosen, and what both include."""
    paths = sorted(_FOLDER.glob("*.conf"))
    return {path.name: _filled(path.read_text(encoding="utf-8"), plan) for path in paths}


def _filled(text: str, plan: Plan) -> str:
    """The files are for a site that is not there: what stands for its places, and what is there."""
    if plan.unix_socket:
        socket = str(plan.folder / plan.unix_socket)
        upstream = f"unix:{socket}"
        listens = f"--unix-socket {shlex.quote(socket)} --proxy-headers unix"
    else:
        host = plan.reached_host
        upstream = f"{host}:{plan.port}"
        listens = f"--port {plan.port} --proxy-headers {host.strip('[]')}"
    for old, new in {
        "www.example.com": _plain(plan.domain),
        "/srv/site/static/": _quoted(f"{plan.folder}/static/"),
        "--port 8000 --proxy-headers 127.0.0.1": listens,  # in a comment
        "127.0.0.1:8000": _quoted(upstream),
        "project.asgi:channel_layer": _plain(plan.target),
        "project.wsgi": _plain(plan.wsgi),
    }.items():
        text = text.replace(old, new)
    return text


def _plain(text: str) -> str:
    """What becomes a part of a longer word."""
    if not _PLAIN.fullmatch(text):
        raise UpError(f"nginx cannot be told {text!r}")
    return text


def _quoted(text: str) -> str:
    """One word as nginx reads it."""
    if _QUOTED.fullmatch(text) and not _PLAIN.fullmatch(text):
        return f'"{text}"'
    return _plain(text)
