"""Sites of nginx for a plan: the files in this package, with the places of the plan filled in."""

from __future__ import annotations

import re
from pathlib import Path

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Plan

#: What needs no quotes there.
_PLAIN = re.compile(r"[\w./:@\[\] -]+")
_FOLDER = Path(__file__).parent / "files" / "nginx"


def files(plan: Plan) -> dict[str, str]:
    """The files, by their names: two sites of which one is to be chosen, and what both include."""
    paths = sorted(_FOLDER.glob("*.conf"))
    return {path.name: _filled(path.read_text(encoding="utf-8"), plan) for path in paths}


def _filled(text: str, plan: Plan) -> str:
    """The files are for a site that is not there: what stands for its places, and what is there."""
    if plan.unix_socket:
        socket = plan.folder / plan.unix_socket
        upstream, listens = f"unix:{socket}", f"--unix-socket {socket} --proxy-headers unix"
    else:
        host = plan.reached_host
        upstream = f"{host}:{plan.port}"
        listens = f"--port {plan.port} --proxy-headers {host.strip('[]')}"
    for old, new in {
        "www.example.com": plan.domain,
        "/srv/site/static/": f"{plan.folder}/static/",
        "--port 8000 --proxy-headers 127.0.0.1": listens,
        "127.0.0.1:8000": upstream,
        "project.asgi:channel_layer": plan.target,
        "project.wsgi": plan.wsgi,
    }.items():
        if not _PLAIN.fullmatch(new):
            raise UpError(f"nginx cannot be told {new!r}")
        text = text.replace(old, new)
    return text
