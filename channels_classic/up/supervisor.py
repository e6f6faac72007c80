"""The configuration of supervisord for a plan."""

from __future__ import annotations

import re

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Plan, Program

#: By kind, so that one more group of workers changes nothing for the server.
_PRIORITIES = {"redis": 10, "server": 30}
_OF_WORKERS = 20

_HEAD = """\
; {what}
; Written by "channels-classic up --print supervisor"; sockets, pids and logs are in
; {state}

[supervisord]
logfile={state}/supervisord.log
logfile_maxbytes=10MB
logfile_backups=3
pidfile={state}/supervisord.pid
childlogdir={state}
environment={environment}
{user}
[unix_http_server]
file={state}/supervisor.sock
chmod=0700

[supervisorctl]
serverurl=unix://{state}/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

; Lower priorities start first and stop last: whoever answers is there before whoever asks.
"""
_PROGRAM = """
[program:{name}]
{text}
command={command}
directory={folder}{copies}
priority={priority}
autorestart=true
startsecs=1
startretries=30
stopsignal=TERM
stopwaitsecs={ends_within}
redirect_stderr=true
stdout_logfile={state}/{log}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""
_COPIES = "\nnumprocs={copies}\nprocess_name=%(program_name)s-%(process_num)d"


def files(plan: Plan) -> dict[str, str]:
    """The one file, by its name; ``UpError`` for what should not, or cannot, be in it."""
    if plan.tells_password:
        raise UpError(
            "A file that is written for somebody else is no place for the password of Redis: put "
            "REDIS_URL=… into the environment of supervisord, and say --redis settings"
        )
    return {"supervisord.conf": render(plan)}


def render(plan: Plan) -> str:
    """``supervisord.conf``."""
    programs = plan.programs()
    head = _HEAD.format(
        what=_sentence(programs),
        state=_value(plan.state),
        environment=",".join(f'{k}="{_value(v)}"' for k, v in plan.environment.items()),
        user=f"user={plan.user}\n" if plan.user else "",
    )
    return head + "".join(_program(plan, each) for each in programs)


def _sentence(programs: list[Program]) -> str:
    names = [f"{each.name} ×{each.copies}" if each.copies else each.name for each in programs]
    return f"A whole site on one machine: {', '.join(names)}."


def _program(plan: Plan, program: Program) -> str:
    return _PROGRAM.format(
        name=program.name,
        text=_comment(program.text),
        command=_value(program.line),
        folder=_value(plan.folder),
        copies="" if program.copies is None else _COPIES.format(copies=program.copies),
        priority=_PRIORITIES.get(program.name, _OF_WORKERS),
        ends_within=program.ends_within,
        state=_value(plan.state),
        log=program.name if program.copies is None else "%(program_name)s-%(process_num)d",
    )


def _comment(text: str) -> str:
    """Sentences as lines."""
    return "\n".join(f"; {line}" for line in re.split(r"(?<=[.]) (?=[A-Z])", text))


def _value(value: object) -> str:
    """As supervisord reads it: ``%`` begins an expansion, and a comment needs a space before it."""
    text = str(value)
    if re.search(r"""\s[;#]|[\n"]""", text):
        raise UpError(f"supervisord cannot be told {text!r}: it reads a part of it as a comment")
    return text.replace("%", "%%")
