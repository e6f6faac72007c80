"""Units of systemd for a plan: one service for each program, and a target that holds them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from channels_classic.exceptions import UpError
from channels_classic.up.plan import Plan, Program

#: What the names of all units begin with, and where the private Redis listens.
PREFIX = "channels"
RUN = Path("/run/channels")
#: Where the site's secrets are: SECRET_KEY=… and so on, a line each.
ENVIRONMENT = "/etc/channels/environment"

_TARGET = """\
# The whole site: systemctl enable --now {prefix}.target

[Unit]
Description=The site, all of it
Wants={wants}

[Install]
WantedBy=multi-user.target
"""
_SERVICE = """\
# {text}

[Unit]
Description={title}
PartOf={prefix}.target
After={after}
StartLimitIntervalSec=0

[Service]
Type={kind}
{user}WorkingDirectory={folder}
{environment}ExecStart={command}
{more}Restart=always
RestartSec=1
KillMode=mixed
TimeoutStopSec={ends_within}
LimitNOFILE=65536
NoNewPrivileges=yes
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
"""
_INSTALL = "\n[Install]\nWantedBy={prefix}.target\n"


def files(plan: Plan) -> dict[str, str]:
    """The units, by their file names; ``UpError`` for what should not, or cannot, be in them."""
    if plan.tells_password:
        raise UpError(
            "Everybody on the machine can read a unit, and with it the password of Redis: write "
            f"REDIS_URL=… into {ENVIRONMENT}, and say --redis settings"
        )
    if plan.redis is None:
        plan = replace(plan, state=RUN, redis_program=_absolute(plan.redis_program))
    programs = plan.programs()
    found = {_file(each): _service(plan, each) for each in programs}
    wants = " ".join(unit for each in programs for unit in units(each))
    return {**found, f"{PREFIX}.target": _TARGET.format(prefix=PREFIX, wants=wants)}


def units(program: Program) -> list[str]:
    """The units that run ``program``."""
    if program.copies is None:
        return [f"{PREFIX}-{program.name}.service"]
    return [f"{PREFIX}-{program.name}@{n}.service" for n in range(1, program.copies + 1)]


def _file(program: Program) -> str:
    return f"{PREFIX}-{program.name}{'' if program.copies is None else '@'}.service"


def _service(plan: Plan, program: Program) -> str:
    is_redis = program.name == "redis"
    lines = [f"Environment={_quoted(f'{k}={v}')}" for k, v in plan.environment.items()]
    lines.append(f"EnvironmentFile=-{ENVIRONMENT}")
    return _SERVICE.format(
        text=re.sub(r"(?<=[.]) (?=[A-Z])", "\n# ", program.text),
        title=f"{program.name} of the site{'' if program.copies is None else ', number %i'}",
        prefix=PREFIX,
        after=_after(plan, program),
        # The others say themselves when they are ready, so that a restart waits for that.
        kind="exec" if is_redis else "notify",
        user=f"User={plan.user}\n" if plan.user else "",
        folder=plan.state if is_redis else _value(plan.folder),
        environment="" if is_redis else "".join(f"{line}\n" for line in lines),
        command=" ".join(map(_quoted, program.command)),
        more="".join(f"{line}\n" for line in _more(plan, program)),
        ends_within=program.ends_within,
    ) + _INSTALL.format(prefix=PREFIX)


def _after(plan: Plan, program: Program) -> str:
    if program.name == "redis":
        return "network.target"
    redis = f"{PREFIX}-redis.service" if plan.redis is None else "redis-server.service"
    return f"network.target {redis}"


def _more(plan: Plan, program: Program) -> list[str]:
    lines = []
    if program.name == "redis":
        lines += [f"RuntimeDirectory={plan.state.name}", "RuntimeDirectoryMode=0700"]
    if program.reloads:
        lines.append("ExecReload=/bin/kill -HUP $MAINPID")
    if program.name == "server" and not plan.unix_socket and plan.port < 1024:
        lines.append("AmbientCapabilities=CAP_NET_BIND_SERVICE")
    return lines


def _absolute(program: str) -> str:
    return program if program.startswith("/") else f"/usr/bin/{program}"


def _quoted(word: str) -> str:
    """One word as systemd splits a line into words, and expands none of it."""
    text = _value(word).replace("$", "$$")
    return text if re.fullmatch(r"[^\s\"'\\;#]+", text) else f'"{text}"'


def _value(value: object) -> str:
    text = str(value)
    if re.search(r"[\n\"\\]", text):
        raise UpError(f"systemd cannot be told {text!r}")
    return text.replace("%", "%%")
